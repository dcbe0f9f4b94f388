//! Health checks: the stack file's over the image's over the defaults.

use std::time::Duration;

use anyhow::{Result, ensure};
use coop_image::ImageConfig;
use coop_launcher::supervisor::HealthTiming;

use crate::stack::{HealthTest, Healthcheck, Service};

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// The command and the timing of a container's check; none without one.
///
/// # Errors
/// The service says when to check, and nobody says what.
pub(super) fn health(
    service: &Service,
    image: &ImageConfig,
) -> Result<Option<(Vec<String>, HealthTiming)>> {
    let own = service.healthcheck.clone().unwrap_or_default();
    if own.disable {
        return Ok(None);
    }
    let images = image.healthcheck.as_ref();
    let command = match &own.test {
        Some(HealthTest::None) => return Ok(None),
        Some(HealthTest::Exec(words)) => Some(words.clone()),
        Some(HealthTest::Shell(line)) => Some(shell(line)),
        None => images.and_then(|images| of_image(&images.test)),
    };
    let Some(command) = command else {
        ensure!(
            own == Healthcheck::default(),
            "the health check has no test, and the image has none either"
        );
        return Ok(None);
    };
    // As Docker: zero is the image's value, and in an image the default.
    let given = |time: Duration| (!time.is_zero()).then_some(time);
    let own_or =
        |own: Option<crate::stack::value::Duration>, image: Option<u64>, default: Duration| {
            own.and_then(|own| given(own.into()))
                .or_else(|| image.and_then(|image| given(Duration::from_nanos(image))))
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
            .filter(|&retries| retries > 0)
            .or(retries.map(|retries| retries.try_into().unwrap_or(u32::MAX)))
            .unwrap_or(RETRIES),
    };
    Ok(Some((command, timing)))
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
