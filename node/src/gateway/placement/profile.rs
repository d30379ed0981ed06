//! The profile by the number of failure domains.

use storage::codec::Profile;

/// Profile of an extent over `nodes` nodes, two at least.
pub(crate) fn for_nodes(nodes: usize) -> Profile {
    let (data, parity) = match nodes {
        0..=2 => (1, 1),
        3 => (2, 1),
        4 => (2, 2),
        5 => (3, 2),
        6..=11 => (4, 2),
        _ => (8, 3),
    };
    profile(data, parity)
}

/// Profile of an extent over the disks of the only node: one of them may be lost, if there are several.
pub(crate) fn for_disks(disks: usize) -> Profile {
    match disks {
        0 | 1 => profile(1, 0),
        disks => profile(u8::try_from(disks - 1).unwrap_or(u8::MAX).min(8), 1),
    }
}

fn profile(data: u8, parity: u8) -> Profile {
    Profile::new(data, parity).expect("the numbers above are within the limits of a profile")
}
