//! The process: command, environment, user, from service and image.

use std::collections::HashSet;

use anyhow::{Result, bail};
use coop_image::ImageConfig;
use coop_launcher::process::DEFAULT_PATH;

use super::ProcessPlan;
use crate::stack::{Service, Variables};

/// What the service's process is, with what the image says where the service is silent.
pub(super) fn process(
    service: &Service,
    image: &ImageConfig,
    hostname: &str,
    variables: &Variables,
) -> Result<ProcessPlan> {
    let mut env = vec![
        format!("PATH={DEFAULT_PATH}"),
        format!("HOSTNAME={hostname}"),
    ];
    if service.isolation.tty {
        env.push("TERM=xterm".into());
    }
    env.extend(image.env.iter().cloned());
    env.extend(
        service
            .variables(variables)?
            .into_iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    Ok(ProcessPlan {
        argv: argv(service, image)?,
        env: last_of_each(env),
        cwd: service
            .working_dir
            .clone()
            .or_else(|| Some(image.working_dir.clone()).filter(|dir| !dir.is_empty()))
            .unwrap_or_else(|| "/".into()),
        user: service
            .user
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| Some(image.user.clone()).filter(|user| !user.is_empty()))
            .unwrap_or_else(|| "0:0".into()),
        terminal: service.isolation.tty,
        stdin_open: service.isolation.stdin_open,
    })
}

/// As Docker puts it together: a new entrypoint drops the image's command as well.
fn argv(service: &Service, image: &ImageConfig) -> Result<Vec<String>> {
    let entrypoint = service.entrypoint.as_deref().unwrap_or(&image.entrypoint);
    let command = match &service.command {
        Some(command) => command.as_slice(),
        None if service.entrypoint.is_some() => &[],
        None => &image.cmd,
    };
    let argv: Vec<_> = entrypoint.iter().chain(command).cloned().collect();
    if argv.is_empty() {
        bail!("no command: neither the service nor its image names one");
    }
    Ok(argv)
}

/// Keeps the last value of each variable, in the place of the first.
fn last_of_each(env: Vec<String>) -> Vec<String> {
    let key = |entry: &str| {
        entry
            .split_once('=')
            .map_or(entry, |(key, _)| key)
            .to_owned()
    };
    let mut seen = HashSet::new();
    let mut kept: Vec<_> = env
        .into_iter()
        .rev()
        .filter(|entry| seen.insert(key(entry)))
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageConfig {
        ImageConfig {
            env: vec!["PATH=/image".into(), "A=1".into()],
            entrypoint: vec!["/entry".into()],
            cmd: vec!["default".into()],
            working_dir: "/srv".into(),
            ..ImageConfig::default()
        }
    }

    #[test]
    fn the_image_fills_in_what_the_service_does_not_say() {
        let plan = process(&Service::default(), &image(), "web", &Variables::new()).unwrap();
        assert_eq!(plan.argv, ["/entry", "default"]);
        assert_eq!(plan.cwd, "/srv");
        assert_eq!(plan.env, ["HOSTNAME=web", "PATH=/image", "A=1"]);
        assert_eq!(plan.user, "0:0");
    }

    #[test]
    fn a_new_entrypoint_drops_the_images_command() {
        let service = Service {
            entrypoint: Some(vec!["/own".into()]),
            ..Service::default()
        };
        assert_eq!(
            process(&service, &image(), "web", &Variables::new())
                .unwrap()
                .argv,
            ["/own"]
        );
        let service = Service {
            command: Some(vec!["x".into()]),
            ..Service::default()
        };
        assert_eq!(
            process(&service, &image(), "web", &Variables::new())
                .unwrap()
                .argv,
            ["/entry", "x"]
        );
    }

    #[test]
    fn no_command_at_all_is_an_error() {
        let error = process(
            &Service::default(),
            &ImageConfig::default(),
            "web",
            &Variables::new(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("no command"));
    }

    #[test]
    fn the_service_wins_over_the_image() {
        let service = Service {
            environment: [("A".to_owned(), Some("2".to_owned()))]
                .into_iter()
                .collect(),
            ..Service::default()
        };
        let plan = process(&service, &image(), "web", &Variables::new()).unwrap();
        assert!(plan.env.contains(&"A=2".to_owned()));
        assert!(!plan.env.contains(&"A=1".to_owned()));
    }
}
