use std::time::Duration;

use coop_launcher::store::{ContainerId, Health};
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::command::stats::Usage;
use crate::command::ui::keys::Key;
use crate::command::ui::model::{Action, Container};

fn container(name: &str, digit: &str, status: Status, cpu: Option<f64>) -> Container {
    Container {
        id: ContainerId::parse(&digit.repeat(ContainerId::LEN)).unwrap(),
        name: format!("shop-{name}-1"),
        stack: "shop".into(),
        status,
        health: (name == "db").then_some(Health::Healthy),
        exit_code: (status == Status::Stopped).then_some(3),
        uptime: cpu.map(|_| Duration::from_secs(754)),
        usage: cpu.map(|cpu| Usage {
            cpu: Some(cpu),
            memory: Some((12 << 20, 64 << 20)),
            network: Some((1_200, (cpu * 1000.0) as u64)),
            block: Some((4_096, 0)),
            pids: Some((7, None)),
            ..Usage::default()
        }),
    }
}

fn model() -> Model {
    let mut model = Model::new();
    for cpu in [1.0, 5.0, 25.0] {
        let containers = vec![
            container("web", "a", Status::Running, Some(cpu)),
            container("db", "b", Status::Paused, Some(cpu * 2.0)),
            container("job", "c", Status::Stopped, None),
        ];
        model.update(containers, Duration::from_secs(1));
    }
    for line in 0..50 {
        model.log.push(format!("line {line}"));
    }
    model
}

fn shown(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(width.into()).map(|line| {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn press(model: &mut Model, keys: &str) -> Option<Action> {
    let mut action = None;
    for key in keys.chars() {
        action = model.key(Key::Char(key));
    }
    action
}

#[test]
fn a_wide_window_shows_every_column_the_history_and_the_log() {
    assert_snapshot!(shown(&model(), 130, 30));
}

#[test]
fn an_ordinary_window_shows_what_matters() {
    assert_snapshot!(shown(&model(), 80, 24));
}

#[test]
fn a_small_window_shows_the_table_and_a_tiny_one_does_no_harm() {
    assert_snapshot!(shown(&model(), 50, 8));
    for (width, height) in [(1, 1), (2, 3), (10, 5), (300, 3), (3, 100)] {
        for keys in ["", "/x", "k", "l", "?"] {
            let mut model = model();
            press(&mut model, keys);
            shown(&model, width, height);
        }
    }
}

#[test]
fn without_containers_it_says_how_to_make_some() {
    assert_snapshot!(shown(&Model::new(), 60, 10));
}

#[test]
fn help_names_every_key() {
    let mut model = model();
    press(&mut model, "?");
    assert_snapshot!(shown(&model, 90, 16));
    press(&mut model, "x");
    assert_eq!(model.mode, Mode::Table);
}

#[test]
fn the_log_takes_the_screen_and_can_be_scrolled() {
    let mut model = model();
    press(&mut model, "l");
    shown(&model, 40, 8);
    model.key(Key::PageUp);
    assert_snapshot!(shown(&model, 40, 8));
    press(&mut model, "q");
    assert_eq!((model.mode, model.log.below()), (Mode::Table, 0));
}

#[test]
fn a_filter_leaves_what_has_it_in_name_or_state() {
    let mut model = model();
    press(&mut model, "/JOB");
    let names = |model: &Model| {
        let rows = model.rows();
        rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&model), ["shop-job-1"]);
    assert_eq!(model.selection().unwrap().1.name, "shop-job-1");
    assert_snapshot!(shown(&model, 60, 10));
    model.key(Key::Escape);
    press(&mut model, "/paused");
    model.key(Key::Enter);
    assert_eq!(names(&model), ["shop-db-1"]);
    model.key(Key::Escape);
    assert_eq!(names(&model).len(), 3);
}

#[test]
fn keys_sort_and_the_selection_stays_on_its_container() {
    let mut model = model();
    let first = |model: &Model| model.rows()[0].name.clone();
    assert_eq!(first(&model), "shop-db-1");
    model.key(Key::End);
    assert_eq!(model.selection().unwrap().1.name, "shop-web-1");
    press(&mut model, "C");
    assert_eq!(first(&model), "shop-db-1");
    assert_eq!(model.selection().unwrap().1.name, "shop-web-1");
    model.update(
        vec![container("web", "a", Status::Running, Some(50.0))],
        Duration::from_secs(1),
    );
    assert_eq!(first(&model), "shop-web-1");
}

#[test]
fn keys_ask_for_what_they_say_and_for_the_selected_container() {
    let mut model = model();
    model.key(Key::Down);
    let asked = |action: Option<Action>| match action {
        Some(Action::Ask(verb, target)) => format!("{verb} {}", target.name),
        other => format!("{other:?}"),
    };
    assert_eq!(asked(press(&mut model, "s")), "stop shop-job-1");
    assert_eq!(asked(press(&mut model, "r")), "restart shop-job-1");
    assert_eq!(asked(press(&mut model, "p")), "pause shop-job-1");
    model.key(Key::Up);
    assert_eq!(asked(press(&mut model, "p")), "unpause shop-db-1");
    assert_eq!(press(&mut model, "k"), None);
    assert_snapshot!(shown(&model, 60, 10).lines().last().unwrap(), @"kill shop-db-1? (y/n)");
    assert_eq!(press(&mut model, "n"), None);
    assert_eq!(asked(press(&mut model, "ky")), "kill shop-db-1");
    assert_eq!(press(&mut model, "q"), Some(Action::Quit));
    assert!(matches!(model.key(Key::Enter), Some(Action::Inspect(_))));
    assert_eq!(model.key(Key::Interrupt), Some(Action::Quit));
}

#[test]
fn what_went_wrong_is_told_until_the_next_key() {
    let mut model = model();
    model.message = Some(Message::Failed("shop-db-1: no such thing".into()));
    assert_snapshot!(shown(&model, 60, 10).lines().last().unwrap(), @"shop-db-1: no such thing");
    model.key(Key::Down);
    assert_eq!(model.message, None);
}
