//! What a command has under way and what it has done, a line for each container, network or
//! volume.

use std::fmt::Write;
use std::time::Duration;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Not over yet.
    UnderWay,
    /// It is as it should be.
    Done,
    /// It is not.
    Failed,
}

impl Mood {
    fn mark(self) -> char {
        match self {
            Self::UnderWay => '⠿',
            Self::Done => '✔',
            Self::Failed => '✘',
        }
    }

    /// Of `ECMA-48`: yellow, green, red.
    fn colour(self) -> u8 {
        match self {
            Self::UnderWay => 33,
            Self::Done => 32,
            Self::Failed => 31,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) what: String,
    pub(super) mood: Mood,
    /// Since the command's beginning.
    began: Duration,
    took: Option<Duration>,
}

/// The lines, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    /// Something is `what` now, for example `Creating`.
    pub(super) fn begin(&mut self, kind: &str, name: &str, what: &str, now: Duration) {
        let step = self.step(kind, name, now);
        // One that goes from one thing to the next has been at it since the first.
        if step.mood != Mood::UnderWay {
            step.began = now;
        }
        what.clone_into(&mut step.what);
        step.mood = Mood::UnderWay;
        step.took = None;
    }

    /// Something has become `what`, for example `Started`.
    pub(super) fn finish(&mut self, kind: &str, name: &str, what: &str, mood: Mood, now: Duration) {
        let step = self.step(kind, name, now);
        what.clone_into(&mut step.what);
        step.mood = mood;
        step.took = Some(now.saturating_sub(step.began));
    }

    fn step(&mut self, kind: &str, name: &str, now: Duration) -> &mut Step {
        let known = |step: &Step| step.kind == kind && step.name == name;
        let index = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(Step {
                kind: kind.to_owned(),
                name: name.to_owned(),
                what: String::new(),
                mood: Mood::UnderWay,
                began: now,
                took: None,
            });
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    /// Whether nothing is under way.
    pub(super) fn are_settled(&self) -> bool {
        self.0.iter().all(|step| step.mood != Mood::UnderWay)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody brings to an end what is under way.
    pub(super) fn give_up(&mut self) {
        for step in &mut self.0 {
            if step.mood == Mood::UnderWay {
                step.what.push_str(": not done");
                step.mood = Mood::Failed;
            }
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Every line, none wider than `width` characters.
    pub(super) fn lines(&self, width: usize, coloured: bool) -> Vec<String> {
        let names = names_width(&self.0);
        self.0
            .iter()
            .map(|step| line(step, names, width, coloured))
            .collect()
    }

    /// As many lines as there is room for, what is under way or went wrong before what is done.
    pub(super) fn window(&self, rows: usize, width: usize, coloured: bool) -> Vec<String> {
        let mut lines = self.lines(width, coloured);
        if lines.len() <= rows {
            return lines;
        }
        let mut surplus = lines.len() - rows + 1;
        let hidden = surplus;
        let mut shown: Vec<_> = self.0.iter().map(|_| true).collect();
        for (shown, step) in shown.iter_mut().zip(&self.0) {
            if surplus > 0 && step.mood == Mood::Done {
                *shown = false;
                surplus -= 1;
            }
        }
        for shown in shown.iter_mut().rev() {
            if surplus > 0 && *shown {
                *shown = false;
                surplus -= 1;
            }
        }
        let mut shown = shown.into_iter();
        lines.retain(|_| shown.next().unwrap_or_default());
        lines.push(cut(
            &[(format!("   … {hidden} more"), None)],
            width,
            coloured,
        ));
        lines
    }
}

fn names_width(steps: &[Step]) -> usize {
    steps
        .iter()
        .map(|step| step.kind.chars().count() + 1 + step.name.chars().count())
        .max()
        .unwrap_or_default()
}

fn line(step: &Step, names: usize, width: usize, coloured: bool) -> String {
    let colour = Some(step.mood.colour());
    let name = format!("{} {}", step.kind, step.name);
    let mut pieces = vec![
        (" ".to_owned(), None),
        (step.mood.mark().to_string(), colour),
        (format!(" {name:<names$}  "), None),
        (step.what.clone(), colour),
    ];
    if let Some(took) = step.took {
        pieces.push(("  ".to_owned(), None));
        pieces.push((format!("{:.1}s", took.as_secs_f64()), Some(34)));
    }
    cut(&pieces, width, coloured)
}

/// The pieces in their colours, as far as there is room.
fn cut(pieces: &[(String, Option<u8>)], width: usize, coloured: bool) -> String {
    let mut room = width;
    let mut line = String::new();
    for (text, colour) in pieces {
        let text: String = text.chars().take(room).collect();
        room -= text.chars().count();
        match colour {
            Some(colour) if coloured && !text.is_empty() => {
                // Into a string: cannot fail.
                let _ = write!(line, "\x1b[{colour}m{text}\x1b[0m");
            }
            _ => line.push_str(&text),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn steps() -> Steps {
        let mut steps = Steps::default();
        for name in ["shop-db-1", "shop-web-1", "shop-job-1"] {
            steps.begin("Container", name, "Creating", seconds(0));
        }
        steps.finish("Container", "shop-db-1", "Healthy", Mood::Done, seconds(12));
        steps.begin("Container", "shop-web-1", "Starting", seconds(13));
        steps.finish("Container", "shop-job-1", "Error", Mood::Failed, seconds(3));
        steps
    }

    #[test]
    fn each_has_its_line_with_state_and_time() {
        insta::assert_snapshot!(steps().lines(80, false).join("\n"), @r"
         ✔ Container shop-db-1   Healthy  1.2s
         ⠿ Container shop-web-1  Starting
         ✘ Container shop-job-1  Error  0.3s
        ");
    }

    #[test]
    fn colours_say_how_it_stands_and_end_with_their_word() {
        let lines = steps().lines(80, true);
        assert!(lines[0].starts_with(" \x1b[32m✔\x1b[0m Container"));
        assert!(lines[1].contains("\x1b[33mStarting\x1b[0m"));
        assert!(lines[2].contains("\x1b[31mError\x1b[0m"));
    }

    #[test]
    fn no_line_is_wider_than_the_window() {
        for width in 0..50 {
            for line in steps().lines(width, false) {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn a_low_window_shows_what_is_not_done() {
        insta::assert_snapshot!(steps().window(2, 80, false).join("\n"), @r"
         ⠿ Container shop-web-1  Starting
           … 2 more
        ");
        assert_eq!(steps().window(3, 80, false).len(), 3);
        assert_eq!(steps().window(1, 80, false), ["   … 3 more"]);
    }

    #[test]
    fn what_goes_on_keeps_its_time_and_what_begins_again_does_not() {
        let mut steps = Steps::default();
        steps.begin("Container", "a", "Creating", seconds(10));
        steps.begin("Container", "a", "Starting", seconds(20));
        steps.finish("Container", "a", "Started", Mood::Done, seconds(30));
        assert!(steps.lines(80, false)[0].ends_with("Started  2.0s"));
        steps.begin("Container", "a", "Stopping", seconds(90));
        assert!(!steps.are_settled());
        steps.finish("Container", "a", "Stopped", Mood::Done, seconds(95));
        assert!(steps.lines(80, false)[0].ends_with("Stopped  0.5s"));
        assert!(steps.are_settled());
    }
}
