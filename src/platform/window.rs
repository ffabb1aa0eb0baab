//! What is missing from a report, or stands against itself.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::item::Item;
use super::order::{Chains, chains};
use super::{Finding, ReportLimits, RevealedPart};
use crate::report::{AccountTag, ChainId, ChainTag};

/// From the earliest to the latest stamp of a message with an open part. Where none is open, of all of them.
fn window(items: &[Item]) -> (u64, u64) {
    let open = |item: &&Item| item.parts.iter().any(|part| matches!(part, RevealedPart::Open(_)));
    let span = |times: &mut dyn Iterator<Item = u64>| -> Option<(u64, u64)> {
        let first = times.next()?;
        Some(times.fold((first, first), |(low, high), time| (low.min(time), high.max(time))))
    };
    span(&mut items.iter().filter(open).map(time)).or_else(|| span(&mut items.iter().map(time))).unwrap_or_default()
}

fn time(item: &Item) -> u64 {
    item.stamp.context.time.get()
}

/// Everything that is to be said of what verified.
pub(super) fn findings(items: &[Item], limits: &ReportLimits) -> Vec<Finding> {
    let (window, chains) = (window(items), chains(items));
    let mut found = Vec::new();
    let mut open_starts = Vec::new();
    for ((owner, chain), numbers) in &chains {
        let of_chain = Chain { items, owner: *owner, chain: *chain, numbers };
        if of_chain.judge(window, &mut found) {
            open_starts.push((*owner, *chain));
        }
    }
    claims(items, &chains, &open_starts, window, limits, &mut found);
    for item in items {
        let (stamped, claimed) = (item.stamp.context.time, item.header.sent());
        if stamped.get().abs_diff(claimed.get()) > limits.skew_ms {
            found.push(Finding::TimeAnomaly { message: item.commitment, stamped, claimed });
        }
    }
    found
}

struct Chain<'a> {
    items: &'a [Item],
    owner: AccountTag,
    chain: ChainId,
    numbers: &'a BTreeMap<u64, Vec<usize>>,
}

impl<'a> Chain<'a> {
    fn at(&self, places: &'a [usize]) -> impl Iterator<Item = &'a Item> + use<'a> {
        let items = self.items;
        places.iter().filter_map(move |at| items.get(*at))
    }

    /// Gives whether its start is open.
    fn judge(&self, (t0, t1): (u64, u64), found: &mut Vec<Finding>) -> bool {
        let Self { items: _, owner, chain, numbers } = *self;
        let (Some((first, earliest)), Some((last, latest))) = (numbers.first_key_value(), numbers.last_key_value())
        else {
            return false;
        };
        let closed = *first == 0 || self.at(earliest).any(|item| time(item) < t0);
        if !closed {
            found.push(Finding::OpenStart { owner, chain, first: *first });
        }
        let (mut before, mut counter): (Option<(u64, &[usize])>, u64) = (None, 0);
        for (seq, places) in numbers {
            let mut forked = places.len() > 1;
            if let Some((previous, previous_places)) = before {
                if previous.checked_add(1) == Some(*seq) {
                    forked |= self.at(places).any(|item| {
                        self.at(previous_places).all(|previous| item.header.prev() != Some(previous.commitment))
                    });
                } else {
                    let (from, to) = (previous.saturating_add(1), seq.saturating_sub(1));
                    found.push(Finding::Gap { owner, chain, from, to });
                }
            }
            if forked {
                found.push(Finding::Fork { owner, chain, seq: *seq });
            }
            let counters = self.at(places).map(|item| item.stamp.context.conv_seq).filter(|counter| *counter > 0);
            let counters: Vec<u64> = counters.collect();
            if counters.iter().any(|here| *here <= counter) {
                found.push(Finding::OrderViolation { owner, chain, seq: *seq });
            }
            counter = counters.into_iter().fold(counter, u64::max);
            before = Some((*seq, places));
        }
        // The last one, not any: an old message that was submitted again after the window closes nothing behind it.
        if !self.at(latest).any(|item| time(item) > t1) {
            found.push(Finding::OpenEnd { owner, chain, last: *last });
        }
        !closed
    }
}

/// What authors say to have seen, held against what is here. A claim blames nobody.
fn claims(
    items: &[Item],
    chains: &Chains,
    open_starts: &[(AccountTag, ChainId)],
    (t0, t1): (u64, u64),
    limits: &ReportLimits,
    found: &mut Vec<Finding>,
) {
    let tags: BTreeMap<ChainTag, _> =
        chains.iter().map(|(key, numbers)| (ChainTag::of(&key.0, &key.1), (key, numbers))).collect();
    for item in items {
        let (claimed_by, message, at) = (*item.header.sender(), item.commitment, time(item));
        for seen in item.header.seen() {
            let (chain, seq) = (seen.chain, seen.seq);
            let known = tags.get(&chain);
            if let Some(places) = known.and_then(|(_, numbers)| numbers.get(&seq)) {
                let mut there = places.iter().filter_map(|at| items.get(*at));
                match there.find(|other| other.commitment == seen.commitment) {
                    None => found.push(Finding::SeenMismatch { claimed_by, message, chain, seq }),
                    Some(other) if time(other) > at.saturating_add(limits.late_tolerance_ms) => {
                        found.push(Finding::LateStamp { message: other.commitment, seen_in: message });
                    }
                    Some(_) => {}
                }
                continue;
            }
            let is_missing = known.is_none_or(|(key, numbers)| {
                let beyond = numbers.last_key_value().is_some_and(|(last, _)| seq > *last);
                let before = numbers.first_key_value().is_some_and(|(first, _)| seq < *first);
                beyond || (before && open_starts.contains(key))
            });
            if is_missing && (t0..=t1).contains(&at) {
                found.push(Finding::Undisclosed { claimed_by, message, chain, seq });
            }
        }
    }
}
