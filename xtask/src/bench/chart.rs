//! A report as a picture: horizontal bars, with ratios.
//!
//! One SVG file without script or font, which a page can show as an image. Its colours are
//! chosen by the reader's light or dark setting.

use std::fmt::Write;

use super::report::{Report, Row};
use super::table::show;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 300.0;
const LONGEST_BAR: f64 = 340.0;
const TITLE: f64 = 44.0;
const GROUP: f64 = 30.0;
const LINE: f64 = 26.0;
const BAR: f64 = 16.0;

const STYLE: &str = "\
:root { color-scheme: light dark; }
.page { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.group { font-weight: 600; }
.quiet { fill: #59636e; }
.bar { fill: #8c959f; }
.floor { fill: #57ab5a; }
.coop { fill: #0969da; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; }
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .bar { fill: #656c76; }
  .coop { fill: #4493f8; }
  .spread { stroke: #e6edf3; }
}
";

/// The picture.
pub(crate) fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut y = TITLE;
    let mut rest = &report.rows[..];
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|row| row.step == first.step).count();
        let (group, others) = rest.split_at(length);
        y = draw_group(&mut body, report, group, y);
        rest = others;
    }
    let height = y + 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">{}</text>\n{body}</svg>\n",
        escape(&report.title.replace('`', ""))
    )
}

/// Rows of one step have one scale. Returns where the next group begins.
fn draw_group(body: &mut String, report: &Report, group: &[Row], top: f64) -> f64 {
    let mut y = top;
    let step = group.first().map_or("", |row| &row.step);
    if !step.is_empty() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<text class=\"group\" x=\"16\" y=\"{}\">{}</text>",
            y + 20.0,
            escape(step)
        );
        y += GROUP;
    }
    let most = group
        .iter()
        .filter_map(|row| Some(row.value?.upper_quartile))
        .fold(f64::MIN_POSITIVE, f64::max);
    for row in group {
        draw_row(body, report, row, LONGEST_BAR / most, y);
        y += LINE;
    }
    y
}

fn draw_row(body: &mut String, report: &Report, row: &Row, scale: f64, y: f64) {
    let baseline = y + 17.0;
    let name = escape(&row.contender);
    let _ = writeln!(
        body,
        "<text text-anchor=\"end\" x=\"{}\" y=\"{baseline}\">{name}</text>",
        LEFT - 10.0
    );
    let Some(value) = row.value else {
        let why = escape(row.missing.as_deref().unwrap_or_default());
        let _ = writeln!(
            body,
            "<text class=\"quiet\" x=\"{LEFT}\" y=\"{baseline}\">{why}</text>"
        );
        return;
    };
    let colour = if row.contender.starts_with("coop") {
        "coop"
    } else if report.floor(row).is_some_and(|floor| floor == row) {
        "floor"
    } else {
        "bar"
    };
    let top = y + (LINE - BAR) / 2.0;
    let width = value.median * scale;
    let _ = writeln!(
        body,
        "<rect class=\"{colour}\" x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" \
         height=\"{BAR}\" rx=\"2\"/>"
    );
    let (from, to) = (value.lower_quartile * scale, value.upper_quartile * scale);
    if to - from > 1.0 {
        let middle = top + BAR / 2.0;
        let _ = writeln!(
            body,
            "<line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
            LEFT + from,
            LEFT + to
        );
    }
    let ours = report.ours(row).filter(|ours| *ours != row);
    let ratio = ours.and_then(Row::median).map_or_else(String::new, |ours| {
        format!("· {:.2} × coop", value.median / ours)
    });
    let _ = writeln!(
        body,
        "<text x=\"{:.1}\" y=\"{baseline}\">{}<tspan class=\"quiet\" dx=\"5\">{ratio}</tspan></text>",
        LEFT + width.max(to) + 8.0,
        show(value.median, row.unit)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn a_chart_of_an_example() {
        insta::assert_snapshot!(svg(&example()));
    }

    #[test]
    fn names_cannot_break_the_file() {
        assert!(svg(&example()).contains("podman &lt;run&gt;"));
    }

    #[test]
    fn the_longest_bar_fits() {
        let chart = svg(&example());
        // The first one is the page.
        let widths = chart.split("<rect").skip(2).filter_map(|rect| {
            let (_, rest) = rect.split_once("width=\"")?;
            rest.split_once('"')?.0.parse::<f64>().ok()
        });
        assert!(widths.into_iter().all(|width| width <= LONGEST_BAR));
    }
}
