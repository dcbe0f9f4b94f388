//! The columns of the table, and which of them there is room for.

use std::time::Duration;

use coop_launcher::store::{Health, Status};
use ratatui::layout::Constraint;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

use crate::command::ps::status_word;
use crate::command::ui::model::{Container, Sort};
use crate::ui::{binary_size, decimal_size};

/// One column.
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: Constraint,
    /// What it takes at least.
    least: u16,
    /// The highest goes first when there is no room.
    dispensable: u8,
    pub(super) sort: Option<Sort>,
    pub(super) cell: fn(&Container) -> Line<'static>,
}

const UNKNOWN: &str = "-";

/// Those that a window of this width has room for.
pub(super) fn columns(width: u16) -> Vec<Column> {
    let fixed = |heading, width, dispensable, sort, cell| Column {
        heading,
        width: Constraint::Length(width),
        least: width,
        dispensable,
        sort,
        cell,
    };
    let mut columns = vec![
        fixed("STACK", 12, 4, None, stack),
        Column {
            heading: "NAME",
            width: Constraint::Fill(1),
            least: 16,
            dispensable: 0,
            sort: Some(Sort::Name),
            cell: |container| container.name.clone().into(),
        },
        fixed("STATE", 11, 0, None, state),
        fixed("HEALTH", 9, 3, None, health),
        fixed("CPU %", 7, 0, Some(Sort::Cpu), cpu),
        fixed("MEM / LIMIT", 19, 1, Some(Sort::Memory), memory),
        fixed("NET RX / TX", 15, 5, Some(Sort::Network), |container| {
            pair(container.usage.as_ref().and_then(|usage| usage.network))
        }),
        fixed("BLOCK R / W", 15, 7, None, |container| {
            pair(container.usage.as_ref().and_then(|usage| usage.block))
        }),
        fixed("PIDS", 5, 6, None, pids),
        fixed("UPTIME", 7, 2, Some(Sort::Uptime), uptime),
    ];
    while columns.len() > 1 && needed(&columns) > width {
        let Some((place, _)) = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.dispensable > 0)
            .max_by_key(|(_, column)| column.dispensable)
        else {
            break;
        };
        columns.remove(place);
    }
    columns
}

fn needed(columns: &[Column]) -> u16 {
    columns.iter().map(|column| column.least + 1).sum::<u16>() - 1
}

fn stack(container: &Container) -> Line<'static> {
    container.stack.clone().into()
}

fn state(container: &Container) -> Line<'static> {
    let word = status_word(container.status);
    let text = match (container.status, container.exit_code) {
        (Status::Stopped, Some(code)) => format!("{word} ({code})"),
        _ => word.to_owned(),
    };
    let text = Span::from(text);
    match (container.status, container.exit_code) {
        (Status::Running, _) => text.green(),
        (Status::Paused | Status::Restarting, _) => text.yellow(),
        (Status::Stopped, Some(code)) if code != 0 => text.red(),
        _ => text,
    }
    .into()
}

fn health(container: &Container) -> Line<'static> {
    match container.health {
        None => UNKNOWN.into(),
        Some(health @ Health::Healthy) => Line::from(health.to_string()).green(),
        Some(health @ Health::Starting) => Line::from(health.to_string()).yellow(),
        Some(health @ Health::Unhealthy) => Line::from(health.to_string()).red(),
    }
}

fn cpu(container: &Container) -> Line<'static> {
    let cpu = container.usage.as_ref().and_then(|usage| usage.cpu);
    Line::from(cpu.map_or(UNKNOWN.into(), |cpu| format!("{cpu:.1}"))).right_aligned()
}

fn memory(container: &Container) -> Line<'static> {
    let memory = container.usage.as_ref().and_then(|usage| usage.memory);
    Line::from(memory.map_or(UNKNOWN.into(), |(used, limit)| {
        format!("{} / {}", binary_size(used), binary_size(limit))
    }))
}

fn pair(pair: Option<(u64, u64)>) -> Line<'static> {
    Line::from(pair.map_or(UNKNOWN.into(), |(one, other)| {
        format!("{} / {}", decimal_size(one), decimal_size(other))
    }))
}

fn pids(container: &Container) -> Line<'static> {
    let pids = container.usage.as_ref().and_then(|usage| usage.pids);
    Line::from(pids.map_or(UNKNOWN.into(), |(pids, _)| pids.to_string())).right_aligned()
}

fn uptime(container: &Container) -> Line<'static> {
    Line::from(container.uptime.map_or(UNKNOWN.into(), short)).right_aligned()
}

/// In at most seven characters: `12s`, `3m05s`, `4h07m`, `12d03h`, `900d`.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if minutes == 0 => format!("{seconds}s"),
        () if hours == 0 => format!("{minutes}m{:02}s", seconds % 60),
        () if days == 0 => format!("{hours}h{:02}m", minutes % 60),
        () if days < 1000 => format!("{days}d{:02}h", hours % 24),
        () => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_is_short() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (185, "3m05s"),
            (4 * 3600 + 7 * 60, "4h07m"),
            (12 * 86400 + 3 * 3600, "12d03h"),
            (1000 * 86400, "1000d"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn columns_go_in_turn_when_there_is_no_room() {
        let headings = |width| {
            columns(width)
                .iter()
                .map(|column| column.heading)
                .collect::<Vec<_>>()
        };
        assert_eq!(headings(200).len(), 10);
        assert_eq!(
            headings(80),
            ["NAME", "STATE", "HEALTH", "CPU %", "MEM / LIMIT", "UPTIME"]
        );
        assert_eq!(headings(10), ["NAME", "STATE", "CPU %"]);
    }
}
