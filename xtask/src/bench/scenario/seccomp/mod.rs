//! How many instructions a filter executes for a call: Coop's compiler beside libseccomp.
//!
//! Both compile one and the same policy; the programs are run by the simulator of
//! `coop-seccomp`. Nothing here depends on the machine's speed.

mod calls;
mod exporter;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use coop_seccomp::profiles::BuiltIn;
use coop_seccomp::{Arch, Capabilities, KernelVersion, Policy, Program, docker};

use super::Outcome;
use crate::bench::report::{Goal, Row, Unit};
use crate::bench::stand::Stand;
use crate::bench::stats::Summary;
use calls::Probe;
use exporter::{Exporter, Optimize};

const COOP: &str = "coop";
const TREE: &str = "libseccomp, binary tree";
const LIST: &str = "libseccomp, list";

/// The most that Coop may need, as a share of what libseccomp does.
const LIMIT: f64 = 0.6;

/// Docker's published default profile.
const DOCKER: &[u8] = include_bytes!("../../../../../seccomp/fixtures/docker-default.json");

/// Those of Docker's containers.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

pub(super) fn contest(stand: &Stand<'_>) -> Result<Outcome> {
    let mut rows = Vec::new();
    let mut goals = Vec::new();
    let exporter = Exporter::build(&stand.site.path("seccomp"))?;
    for (name, policy) in policies()? {
        match &exporter {
            Ok(exporter) => {
                let compared = Compared::new(policy, Arch::native(), exporter).context(name)?;
                let (more, goal) = compared.report(name);
                rows.extend(more);
                goals.extend(goal);
            }
            Err(why) => rows.push(Row::missing(LIST, name, why)),
        }
    }
    Ok(Outcome {
        title: "Instructions that a seccomp filter executes for a call",
        rows,
        goals,
        notes: vec![
            "Means over the calls of the native ABI, each with arguments that its rules are \
             about; of the hottest: read, write, close, futex, epoll_wait, recvfrom, sendto, \
             openat, mmap and clock_gettime. Simulated, not timed."
                .into(),
            "Both sides compile the same policy, and were found to agree on every number and \
             on arguments around every constant. Left out on both sides is what this libseccomp \
             has no words for: calls that it does not know, ENOSYS for calls newer than the \
             policy, and conditions ahead of a rule without. runc asks for the binary tree from \
             version 1.2 on; the list is libseccomp's default."
                .into(),
            "From Linux 5.11 on no instruction is executed for calls that are allowed whatever \
             their arguments are."
                .into(),
        ],
    })
}

/// What is compiled, by name.
fn policies() -> Result<Vec<(&'static str, Policy)>> {
    let capabilities = CAPABILITIES
        .iter()
        .try_fold(Capabilities::NONE, |set, name| set.with(name))
        .context("an unknown capability")?;
    let context = coop_seccomp::Context {
        arch: Arch::native(),
        capabilities,
        kernel: KernelVersion::running(),
    };
    let docker = docker::Profile::from_json(DOCKER)?.resolve(&context)?;
    Ok(vec![
        ("Docker's default profile", docker),
        ("Coop's default profile", BuiltIn::Default.policy(&context)),
    ])
}

/// One policy, compiled by all.
struct Compared {
    policy: Policy,
    target: Arch,
    programs: Vec<(&'static str, Program)>,
}

impl Compared {
    /// Compiles a policy by all, after leaving out what libseccomp cannot say, and makes sure
    /// that all mean the same.
    fn new(mut policy: Policy, target: Arch, exporter: &Exporter) -> Result<Self> {
        // It has no word for calls that are newer than the policy.
        policy.unknown = None;
        // Nor for a rule with conditions ahead of one without.
        policy = policy.in_libseccomp_order();
        let unheard = exporter.unheard(&policy, target)?;
        for rule in &mut policy.rules {
            rule.names.retain(|name| !unheard.contains(name));
        }
        let mut programs = vec![(COOP, policy.compile(target)?)];
        for (name, optimize) in [(TREE, Optimize::Tree), (LIST, Optimize::List)] {
            programs.push((name, exporter.export(&policy, target, optimize)?));
        }
        let compared = Self {
            policy,
            target,
            programs,
        };
        compared.agree()?;
        Ok(compared)
    }

    fn agree(&self) -> Result<()> {
        let [(_, ours), others @ ..] = &self.programs[..] else {
            bail!("nothing was compiled");
        };
        for call in calls::everything(&self.policy, self.target) {
            for (name, theirs) in others {
                let (ours, theirs) = (ours.run(&call).action(), theirs.run(&call).action());
                if ours != theirs {
                    bail!("{call:x?}: {ours} by coop, {theirs} by {name}");
                }
            }
        }
        Ok(())
    }

    /// How many instructions each program executes for a call, on the average.
    fn means(&self, probes: &[Probe]) -> Vec<(&'static str, f64)> {
        let mean = |program: &Program| {
            let of_call = probes.iter().map(|probe| probe.mean(program));
            of_call.sum::<f64>() / probes.len() as f64
        };
        let programs = self.programs.iter();
        programs
            .map(|(name, program)| (*name, mean(program)))
            .collect()
    }

    fn report(&self, policy: &str) -> (Vec<Row>, Vec<Goal>) {
        let (mut rows, mut goals) = (Vec::new(), Vec::new());
        for (which, probes) in [
            ("all calls", calls::all(&self.policy, self.target)),
            ("hottest calls", calls::hottest(&self.policy, self.target)),
        ] {
            let step = format!("{policy}, {which}");
            let means = self.means(&probes);
            let ours = means[0].1;
            for (name, mean) in means {
                rows.push(row(name, &step, mean));
                if name != COOP {
                    goals.push(Goal {
                        text: format!("{step}: coop, as a multiple of {name}"),
                        measured: ours / mean,
                        limit: LIMIT,
                    });
                }
            }
        }
        let step = format!("{policy}, length");
        for (name, program) in &self.programs {
            rows.push(row(name, &step, program.instructions().len() as f64));
        }
        (rows, goals)
    }
}

fn row(who: &str, what: &str, value: f64) -> Row {
    Row {
        value: Summary::of(&[value]),
        unit: Unit::Count,
        ..Row::missing(who, what, "")
    }
}
