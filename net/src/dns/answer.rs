//! What is answered from the names of a client's networks: a pure function.

use std::net::IpAddr;
use std::rc::Rc;

use hickory_proto::rr::RecordType;

use super::message::Query;
use super::zone::{Member, Standing, Zone};

/// What the names of the client's networks say to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is the answer.
    Answer(Vec<u8>),
    /// The name is none of theirs.
    Unknown,
}

/// The answer to `query` of a container in the networks `zones`: the first network that knows
/// the name has it. `aliases` are names of its own for others. `turn` counts these questions,
/// so that each answer begins with another replica.
///
/// A name that is known is never unknown, whatever record of it is asked for, and though all
/// who have it are gone: it does not become somebody else's outside.
pub(super) fn answer(
    query: &Query,
    zones: &[Rc<Zone>],
    aliases: &[(String, String)],
    standing: &dyn Fn(&Member) -> Standing,
    turn: usize,
    limit: usize,
) -> Verdict {
    if query.kind() == RecordType::PTR
        && let Some(address) = query.reverse()
    {
        return pointer(query, zones, address);
    }
    let Some(mut name) = query.name() else {
        return Verdict::Unknown;
    };
    let alias = { aliases.iter() }.find(|(alias, _)| alias.eq_ignore_ascii_case(&name));
    if let Some((_, stands_for)) = alias {
        name = stands_for.to_ascii_lowercase();
    }
    let mut is_known = false;
    for zone in zones {
        let named: Vec<_> = { zone.named(&name) }
            .map(|member| (standing(member), member))
            .collect();
        is_known |= !named.is_empty();
        let fittest = named.iter().map(|(standing, _)| *standing).max();
        let Some(fittest) = fittest.filter(|standing| *standing != Standing::Gone) else {
            continue;
        };
        let fit = named.iter().filter(|(standing, _)| *standing == fittest);
        let mut addresses: Vec<IpAddr> = { fit.flat_map(|(_, member)| &member.addresses) }
            .filter(|address| is_asked_for(query.kind(), **address))
            .copied()
            .collect();
        return Verdict::Answer(match addresses.len() {
            0 => query.no_such_record(),
            count => {
                addresses.rotate_left(turn % count);
                query.addresses(&addresses, limit)
            }
        });
    }
    if is_known {
        return Verdict::Answer(query.no_such_name());
    }
    Verdict::Unknown
}

fn is_asked_for(kind: RecordType, address: IpAddr) -> bool {
    match kind {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    }
}

/// As Docker: the container's name, and the network's behind it.
fn pointer(query: &Query, zones: &[Rc<Zone>], address: IpAddr) -> Verdict {
    for zone in zones {
        if let Some(member) = zone.at(address)
            && let Some(answer) = query.pointer(&format!("{}.{}", member.name, zone.network()))
        {
            return Verdict::Answer(answer);
        }
    }
    if zones.iter().any(|zone| zone.contains(address)) {
        return Verdict::Answer(query.no_such_name());
    }
    Verdict::Unknown
}
