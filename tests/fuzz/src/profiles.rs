//! Profiles of system-call filters.

use coop_seccomp::docker::Profile;
use coop_seccomp::oci::Seccomp;
use coop_seccomp::{Action, Arch, Call, Capabilities, Context, KernelVersion, Policy};

/// A profile in JSON. The first byte says for whom it is read.
pub(crate) fn seccomp_profile(data: &[u8]) {
    let Some((who, text)) = data.split_first() else {
        return;
    };
    let arch = Arch::ALL[usize::from(*who) % Arch::ALL.len()];
    let context = Context {
        arch,
        capabilities: Capabilities::from_bits(u64::from(*who) << 16),
        kernel: KernelVersion { major: 5, minor: 4 },
    };
    let as_docker = Profile::from_json(text).and_then(|profile| profile.resolve(&context));
    let as_oci = Seccomp::from_json(text).and_then(|object| object.policy());
    match (as_docker, as_oci) {
        (Ok(docker), Ok(oci)) => {
            // What both can read they read alike.
            assert_eq!(docker, oci);
            compiled(&docker, arch);
            back(&oci);
        }
        (Ok(policy), Err(error)) => {
            drop(error.to_string());
            compiled(&policy, arch);
        }
        // Docker's form has all that the OCI's has.
        (Err(error), oci) => {
            drop(error.to_string());
            assert!(oci.is_err(), "{error}");
        }
    }
}

/// The program says what the policy says.
fn compiled(policy: &Policy, arch: Arch) {
    let Ok(program) = policy.compile(arch) else {
        return;
    };
    for (number, name) in arch.calls().step_by(7) {
        for value in [0, 1, 0x7e02_0000, u64::MAX] {
            let call = Call::new(arch, number).with([value; 6]);
            let expected = policy.evaluate(arch, &call);
            assert_eq!(program.run(&call).action(), expected, "{name} {value:#x}");
        }
    }
}

/// What is written down again means the same.
fn back(policy: &Policy) {
    let Ok(object) = Seccomp::from_policy(policy) else {
        return;
    };
    let again = object.policy().expect("what was written is accepted");
    // That what is newer has an answer of its own is not written: it follows from the default.
    if policy.default != Action::Notify {
        assert_eq!(again.default, policy.default);
        assert_eq!(again.flags, policy.flags);
    }
}
