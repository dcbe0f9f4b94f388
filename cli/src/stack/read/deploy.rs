//! `services.*.deploy`.

use super::super::model::{
    Deploy, DeployedRestart, Reservations, ResourceLimits, Resources, RestartCondition,
};
use super::super::value::ParseError;
use super::service::some;
use super::{At, Fields, Problems, Read, keys};

impl Read for Deploy {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let deploy = Self {
            replicas: fields.get("replicas", out),
            resources: fields.or_default("resources", out),
            restart_policy: fields.get("restart_policy", out),
        };
        fields.finish(keys::DEPLOY, out);
        Some(deploy)
    }
}

impl Read for DeployedRestart {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let policy = Self {
            condition: fields.or_default("condition", out),
            max_attempts: fields.get("max_attempts", out),
        };
        if let (RestartCondition::Any, Some(_)) = (policy.condition, policy.max_attempts) {
            out.error(
                &fields.path("max_attempts"),
                "`max_attempts` needs the condition on-failure",
                Some("write condition: on-failure, or remove max_attempts"),
            );
        }
        fields.finish(keys::RESTART_POLICY, out);
        Some(policy)
    }
}

impl Read for RestartCondition {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        at.parse("a string", out)
    }
}

impl std::str::FromStr for RestartCondition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "none" => Ok(Self::None),
            "on-failure" => Ok(Self::OnFailure),
            "any" => Ok(Self::Any),
            _ => Err(ParseError::new(
                "not a condition",
                "the conditions are none, on-failure and any",
            )),
        }
    }
}

impl Read for Resources {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let resources = Self {
            limits: fields.get("limits", out),
            reservations: fields.get("reservations", out),
        };
        fields.finish(&[], out);
        Some(resources)
    }
}

impl Read for ResourceLimits {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let limits = Self {
            cpus: fields.get("cpus", out),
            memory: fields.get("memory", out).filter(some),
            pids: fields.get("pids", out),
        };
        fields.finish(&[], out);
        Some(limits)
    }
}

impl Read for Reservations {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let reservations = Self {
            memory: fields.get("memory", out).filter(some),
        };
        fields.finish(keys::RESERVATIONS, out);
        Some(reservations)
    }
}
