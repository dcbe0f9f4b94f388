//! The service's health check over the image's over the defaults.

use std::time::Duration;

use coop_image::{Healthcheck as ImageCheck, ImageConfig};
use coop_launcher::supervisor::HealthTiming;

use super::super::health::health;
use super::*;
use crate::stack::Service;

fn service(check: &str) -> Service {
    let file = web(&format!("healthcheck: {check}"));
    let loaded = Fixture::new().load(&file).unwrap();
    loaded.stack.services["web"].clone()
}

fn image(test: &[&str]) -> ImageConfig {
    ImageConfig {
        healthcheck: Some(ImageCheck {
            test: test.iter().map(|word| (*word).to_owned()).collect(),
            interval: 5_000_000_000,
            retries: 9,
            ..ImageCheck::default()
        }),
        ..ImageConfig::default()
    }
}

fn check(service: &Service, image: &ImageConfig) -> Option<(Vec<String>, HealthTiming)> {
    health(service, image).unwrap()
}

const SHELL: [&str; 3] = ["/bin/sh", "-c", "up"];

#[test]
fn a_check_without_times_has_dockers() {
    let (command, timing) = check(&service("{test: up}"), &ImageConfig::default()).unwrap();
    assert_eq!(command, SHELL);
    let defaults = HealthTiming {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        retries: 3,
        start_period: Duration::ZERO,
        start_interval: Duration::from_secs(5),
    };
    assert_eq!(timing, defaults);
}

#[test]
fn what_the_service_does_not_say_is_the_images() {
    let image = image(&["CMD-SHELL", "up"]);
    let (command, timing) = check(&Service::default(), &image).unwrap();
    assert_eq!(command, SHELL);
    assert_eq!((timing.interval.as_secs(), timing.retries), (5, 9));

    let (command, timing) = check(&service("{test: [CMD, own], retries: 2}"), &image).unwrap();
    assert_eq!(command, ["own"]);
    assert_eq!((timing.interval.as_secs(), timing.retries), (5, 2));

    let (command, timing) = check(&service("{interval: 1s, retries: 0}"), &image).unwrap();
    assert_eq!(command, SHELL);
    assert_eq!((timing.interval.as_secs(), timing.retries), (1, 9));
    // As Docker: no time at all is no value.
    let (_, timing) = check(&service("{interval: 0s}"), &image).unwrap();
    assert_eq!(timing.interval.as_secs(), 5);
}

#[test]
fn a_check_can_be_turned_off() {
    let image = image(&["CMD", "up"]);
    assert_eq!(check(&service("{disable: true}"), &image), None);
    assert_eq!(check(&service("{test: [NONE]}"), &image), None);
    assert_eq!(check(&Service::default(), &ImageConfig::default()), None);
    let off = self::image(&["NONE"]);
    assert_eq!(check(&Service::default(), &off), None);
}

#[test]
fn times_without_a_test_are_an_error() {
    let error = Fixture::new()
        .web("healthcheck: {interval: 1s}")
        .unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "web: the health check has no test, and the image has none either"
    );
}
