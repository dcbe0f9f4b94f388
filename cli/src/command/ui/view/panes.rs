//! What is shown of one container, and the help.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use crate::command::ui::model::Model;
use crate::ui::{binary_size, decimal_size};

/// Its log: the last lines, or those that the user has scrolled to.
pub(super) fn log(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let title = match (model.selection(), model.log.below()) {
        (None, _) => " log ".to_owned(),
        (Some((_, container)), 0) => format!(" log of {} ", container.name),
        (Some((_, container)), below) => {
            format!(" log of {}, {below} lines below ", container.name)
        }
    };
    let block = Block::bordered().title(title);
    let seen: Vec<_> = model
        .log
        .seen(block.inner(area).height.into())
        .map(Line::from)
        .collect();
    frame.render_widget(Paragraph::new(seen).block(block), area);
}

/// All that is known of it.
pub(super) fn details(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(" details ");
    let seen: Vec<_> = model
        .details
        .seen(block.inner(area).height.into())
        .map(Line::from)
        .collect();
    let text = if model.details.is_empty() {
        Text::from(Line::from("…"))
    } else {
        Text::from(seen)
    };
    frame.render_widget(Paragraph::new(text).block(block), area);
}

/// What it used over the last minutes: now at the right.
pub(super) fn history(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let areas: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3]).areas(area);
    let empty = crate::command::ui::history::History::default();
    let history = model.history().unwrap_or(&empty);
    let last = |row: &VecDeque<u64>| row.back().copied().unwrap_or_default();
    let cpu = format!(" cpu {:.1}% ", last(&history.cpu) as f64 / 100.0);
    line(frame, areas[0], cpu, &history.cpu, Color::Green);
    let memory = format!(" memory {} ", binary_size(last(&history.memory)));
    line(frame, areas[1], memory, &history.memory, Color::Blue);

    let block = Block::bordered().title(format!(
        " net ↓ {}/s ↑ {}/s ",
        decimal_size(last(&history.received)),
        decimal_size(last(&history.sent))
    ));
    let inner = block.inner(areas[2]);
    frame.render_widget(block, areas[2]);
    let halves: [Rect; 2] = Layout::vertical([Constraint::Fill(1); 2]).areas(inner);
    for (row, area, colour) in [
        (&history.received, halves[0], Color::Cyan),
        (&history.sent, halves[1], Color::Magenta),
    ] {
        frame.render_widget(sparkline(row, area.width, colour), area);
    }
}

fn line(frame: &mut Frame<'_>, area: Rect, title: String, row: &VecDeque<u64>, colour: Color) {
    let block = Block::bordered().title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(sparkline(row, inner.width, colour), inner);
}

fn sparkline(row: &VecDeque<u64>, width: u16, colour: Color) -> Sparkline<'static> {
    let surplus = row.len().saturating_sub(width.into());
    let missing = usize::from(width).saturating_sub(row.len());
    let seen: Vec<u64> = std::iter::repeat_n(0, missing)
        .chain(row.iter().skip(surplus).copied())
        .collect();
    // Against nothing, not against the least: a steady use is a full line.
    let most = seen.iter().copied().max().unwrap_or_default().max(1);
    Sparkline::default().data(seen).max(most).fg(colour)
}

const HELP: &str = " ↑ ↓ PgUp PgDn    select a container
 s                stop it
 r                restart it
 p                pause it, or let it go on
 k                kill it (asks)
 e                a shell in it
 l                its log on the whole screen
 Enter            all that is known of it
 /                only containers with this in their name, stack or state; Esc: all
 N C M T U        sort by name, cpu, memory, network, uptime
 q, Ctrl-C        quit";

/// What the keys do.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(HELP).block(block), area);
}
