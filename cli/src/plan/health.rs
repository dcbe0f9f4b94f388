//! Health checks: the stack file's over the image's over the defaults.

use std::time::Duration;

use coop_image::ImageConfig;
use coop_launcher::supervisor::HealthTiming;

use crate::stack::{HealthTest, Service};

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// The command and the timing of a container's check; none without one.
pub(super) fn health(
    service: &Service,
    image: &ImageConfig,
) -> Option<(Vec<String>, HealthTiming)> {
    let own = service.healthcheck.clone().unwrap_or_default();
    if own.disable {
        return None;
    }
    let images = image.healthcheck.as_ref();
    let command = match (&own.test, images) {
        (Some(HealthTest::None), _) | (None, None) => return None,
        (Some(HealthTest::Exec(words)), _) => words.clone(),
        (Some(HealthTest::Shell(line)), _) => shell(line),
        (None, Some(images)) => of_image(&images.test)?,
    };
    // In an image, zero is the default.
    let of_image = |nanoseconds: Option<u64>| {
        nanoseconds
            .filter(|&value| value > 0)
            .map(Duration::from_nanos)
    };
    let own_or =
        |own: Option<crate::stack::value::Duration>, image: Option<u64>, default: Duration| {
            own.map(Duration::from)
                .or(of_image(image))
                .unwrap_or(default)
        };
    let retries = images
        .map(|images| images.retries)
        .filter(|&retries| retries > 0);
    let timing = HealthTiming {
        interval: own_or(own.interval, images.map(|images| images.interval), INTERVAL),
        timeout: own_or(own.timeout, images.map(|images| images.timeout), TIMEOUT),
        start_period: own_or(
            own.start_period,
            images.map(|images| images.start_period),
            Duration::ZERO,
        ),
        start_interval: own_or(
            own.start_interval,
            images.map(|images| images.start_interval),
            START_INTERVAL,
        ),
        retries: own
            .retries
            .or(retries.map(|retries| retries.try_into().unwrap_or(u32::MAX)))
            .filter(|&retries| retries > 0)
            .unwrap_or(RETRIES),
    };
    Some((command, timing))
}

fn of_image(test: &[String]) -> Option<Vec<String>> {
    match test.split_first()? {
        (kind, words) if kind == "CMD" => Some(words.to_vec()),
        (kind, [line]) if kind == "CMD-SHELL" => Some(shell(line)),
        _ => None,
    }
}

fn shell(line: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), line.into()]
}
