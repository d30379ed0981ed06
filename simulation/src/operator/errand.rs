//! The errands of an operator, each from its first order to the moment at which nothing is left to be done.

use std::time::Duration;

use node::cluster::DiskWish;
use tokio::time::sleep;

use super::OrderKind;
use super::order::{Order, disks_of, left_to_reseal, placed};
use super::site::Site;
use crate::cluster::Fate;

/// How often it is looked whether a disk is empty.
const LOOK: Duration = Duration::from_secs(1);
/// What a node says of shard files that it cannot bring under another key yet.
const UNFINISHED: &str = "of uploads in progress, or of nothing that is known";

/// A computer that was never on is switched on, and its node joins.
pub(super) async fn join(site: Site, number: usize) {
    let errand = site.errand(OrderKind::Join);
    site.atlas.chart().joins(number);
    site.control.fate(number, Fate::Start).await;
    errand.until(format!("node {number} being ready"), || site.control.report(number).ready).await;
    site.joined(number);
    errand.done();
}

/// A node is emptied, and leaves some time later, empty or not.
pub(super) async fn leave(site: Site, number: usize, between: Duration) {
    let errand = site.errand(OrderKind::Leave);
    let name = site.control.name(number);
    site.atlas.chart().leaves(number);
    site.control.dismiss(number);
    let gone = || site.is_gone(&name);
    errand.insist(Order::Drain(name.clone()), gone).await;
    sleep(between).await;
    errand.insist(Order::Leave(name.clone()), gone).await;
    errand.until(format!("{name} being gone"), gone).await;
    site.departed(number);
    errand.done();
}

/// A node is emptied, and stays after all.
pub(super) async fn undrain(site: Site, number: usize, between: Duration) {
    let errand = site.errand(OrderKind::Undrain);
    let name = site.control.name(number);
    site.atlas.chart().leaves(number);
    errand.insist(Order::Drain(name.clone()), || false).await;
    sleep(between).await;
    let stays = Order::Undrain(name);
    errand.insist(stays.clone(), || false).await;
    site.book().lasting.push(stays);
    site.atlas.chart().stays(number);
    errand.done();
}

/// A computer that was never on takes the place of a node that lives.
pub(super) async fn replace(site: Site, number: usize, by: usize) {
    let errand = site.errand(OrderKind::Replace);
    let name = site.control.name(number);
    site.atlas.chart().is_replaced(number, by);
    site.control.dismiss(number);
    site.control.replaces(by, &name);
    site.control.fate(by, Fate::Start).await;
    errand.until(format!("node {by} being ready"), || site.control.report(by).ready).await;
    site.joined(by);
    errand.until(format!("{name} being gone"), || site.is_gone(&name)).await;
    site.departed(number);
    errand.done();
}

/// A disk is emptied, and used again if `again`. One whose node was wiped meanwhile is no more.
pub(super) async fn drain_disk(site: Site, number: usize, index: usize, again: bool) {
    let errand = site.errand(OrderKind::DrainDisk);
    let (name, generation) = (site.control.name(number), site.control.report(number).generation);
    let void = || site.control.report(number).generation != generation || site.is_gone(&name);
    let disk = loop {
        if void() {
            return errand.void();
        }
        let disks = if site.control.report(number).ready { disks_of(&site.control, number).await } else { None };
        if let Some(disk) = disks.and_then(|disks| disks.get(index).copied()) {
            break disk;
        }
        sleep(LOOK).await;
    };
    if !errand.insist(Order::Disk(name.clone(), disk, DiskWish::Drain), void).await {
        return errand.void();
    }
    errand.waits(format!("disk {disk} of {name} being empty"));
    for turn in 0.. {
        let held = match site.through(turn) {
            Some(through) => placed(&site.control, through, disk).await,
            None => None,
        };
        if void() {
            return errand.void();
        }
        if held == Some(0) {
            break;
        }
        sleep(LOOK).await;
    }
    if again {
        let used = Order::Disk(name.clone(), disk, DiskWish::Use);
        if !errand.insist(used.clone(), void).await {
            return errand.void();
        }
        site.book().lasting.push(used);
    }
    errand.done();
}

/// A node scrubs its disks.
pub(super) async fn scrub(site: Site, number: usize) {
    let errand = site.errand(OrderKind::Scrub);
    match Order::Scrub.give(&site.control, number).await {
        Ok(()) => errand.done(),
        Err(_) => errand.void(),
    }
}

/// A node gets another data key, and brings what it keeps under it. What is left in the end are parts of uploads that
/// nobody goes on with: they lie under the older key until they expire.
pub(super) async fn rotate_key(site: Site, number: usize) {
    let errand = site.errand(OrderKind::RotateKey);
    let (name, generation) = (site.control.name(number), site.control.report(number).generation);
    let void = || site.control.report(number).generation != generation || site.is_gone(&name);
    while Order::RotateKey.give(&site.control, number).await.is_err() {
        if void() {
            return errand.void();
        }
        sleep(LOOK).await;
    }
    let mut last = String::new();
    loop {
        match left_to_reseal(&site.control, number).await {
            Some(None) => break,
            Some(Some(left)) if left.ends_with(UNFINISHED) => break,
            Some(Some(left)) if left != last => {
                errand.waits(format!("what {name} keeps lying under its newest data key: {left}"));
                last = left;
            }
            _ => {}
        }
        if void() {
            return errand.void();
        }
        sleep(LOOK).await;
    }
    errand.done();
}
