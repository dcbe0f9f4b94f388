//! The picture: a function of the model, and of nothing else.

mod columns;
mod panes;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Row, Table, TableState};

use super::model::{Message, Mode, Model, Sort};
use crate::ui::binary_size;
use columns::columns;
use coop_launcher::store::Status;

/// The keys that are named at the bottom: as many as 80 columns hold.
const KEYS: [(&str, &str); 10] = [
    ("s", "stop"),
    ("r", "restart"),
    ("p", "pause"),
    ("k", "kill"),
    ("e", "shell"),
    ("l", "log"),
    ("⏎", "details"),
    ("/", "filter"),
    ("?", "help"),
    ("q", "quit"),
];

/// Rows of the pane with the history, its border included.
const HISTORY: u16 = 6;

/// Draws everything.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let [title, body, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(self::title(model), title);
    match model.mode {
        Mode::Logs => panes::log(model, frame, body),
        Mode::Details => panes::details(model, frame, body),
        Mode::Help => panes::help(frame, body),
        Mode::Table | Mode::Filter | Mode::ConfirmKill(_) => panes_of_table(model, frame, body),
    }
    frame.render_widget(self::bottom(model), bottom);
}

/// The table as high as it has to be, at most half; what it used if there is room; the log
/// below.
fn panes_of_table(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 8 {
        return table(model, frame, area);
    }
    let rows = u16::try_from(model.rows().len() + 1).unwrap_or(u16::MAX);
    let table_height = rows.clamp(4, area.height / 2);
    let history_height = if area.height >= 20 { HISTORY } else { 0 };
    let [top, middle, below] = Layout::vertical([
        Constraint::Length(table_height),
        Constraint::Length(history_height),
        Constraint::Fill(1),
    ])
    .areas(area);
    table(model, frame, top);
    if history_height > 0 {
        panes::history(model, frame, middle);
    }
    panes::log(model, frame, below);
}

fn title(model: &Model) -> Line<'static> {
    let all = model.all();
    let running = all
        .iter()
        .filter(|container| container.status == Status::Running)
        .count();
    let usage = || all.iter().filter_map(|container| container.usage.as_ref());
    // Not the sum: that of nothing is -0.
    let cpu = usage()
        .filter_map(|usage| usage.cpu)
        .fold(0.0, |a, b| a + b);
    let memory: u64 = usage()
        .filter_map(|usage| usage.memory)
        .map(|(used, _)| used)
        .sum();
    Line::from(vec![
        Span::from("coop").bold(),
        Span::from(format!(
            "  {} containers, {running} running  cpu {cpu:.1}%  memory {}",
            all.len(),
            binary_size(memory)
        )),
    ])
}

fn table(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let columns = columns(area.width);
    let rows = model.rows();
    if rows.is_empty() {
        let text = if model.filter.is_empty() {
            "no containers: `coop up` and `coop run` make some"
        } else {
            "no container matches the filter"
        };
        return frame.render_widget(Line::from(text).dim(), area);
    }
    let heading = columns.iter().map(|column| {
        let sorted = column.sort == Some(model.sort);
        let text = Span::from(column.heading);
        if sorted {
            text.bold().underlined()
        } else {
            text.bold()
        }
    });
    let heading = Row::new(heading.map(Line::from));
    let cells = rows.iter().map(|container| {
        let row = Row::new(columns.iter().map(|column| (column.cell)(container)));
        if container.usage.is_none() {
            row.dim()
        } else {
            row
        }
    });
    let widths = columns.iter().map(|column| column.width);
    let table = Table::new(cells, widths)
        .header(heading)
        .column_spacing(1)
        .row_highlight_style(Style::new().reversed());
    let selected = model.selection().map(|(place, _)| place);
    let mut state = TableState::new().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn bottom(model: &Model) -> Line<'_> {
    match (&model.mode, &model.message) {
        (Mode::Filter, _) => Line::from(format!("/{}█", model.filter)).bold(),
        (Mode::ConfirmKill(target), _) => Line::from(format!("kill {}? (y/n)", target.name))
            .red()
            .bold(),
        (_, Some(Message::Failed(text))) => Line::from(text.as_str()).red(),
        (_, Some(Message::Said(text))) => Line::from(text.as_str()).green(),
        (Mode::Table, None) => {
            let mut spans = Vec::new();
            if !model.filter.is_empty() {
                spans.push(Span::from(format!("[{}]  ", model.filter)).bold());
            }
            if model.sort != Sort::Name {
                spans.push(Span::from(format!("by {}  ", sorted_by(model.sort))).bold());
            }
            for (key, what) in KEYS {
                spans.push(Span::from(key).bold());
                spans.push(Span::from(format!(" {what} ")).dim());
            }
            Line::from(spans)
        }
        (Mode::Help, None) => Line::from("any key goes back").dim(),
        (Mode::Logs | Mode::Details, None) => Line::from("↑ ↓ PgUp PgDn Home End  q back").dim(),
    }
}

fn sorted_by(sort: Sort) -> &'static str {
    match sort {
        Sort::Name => "name",
        Sort::Cpu => "cpu",
        Sort::Memory => "memory",
        Sort::Network => "network",
        Sort::Uptime => "uptime",
    }
}

#[cfg(test)]
mod tests;
