//! In which order the messages of a report are shown, and what that stands on.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::MessageOrder;
use super::item::Item;
use crate::report::{AccountTag, ChainId, Commitment};

pub(super) type Items = Vec<Item>;

/// Places in the report of what is disclosed, by chain and number. Two at one number: a fork.
pub(super) type Chains = BTreeMap<(AccountTag, ChainId), BTreeMap<u64, Vec<usize>>>;

pub(super) fn chains(items: &[Item]) -> Chains {
    let mut chains = Chains::new();
    for (at, item) in items.iter().enumerate() {
        let chain = chains.entry((*item.header.sender(), *item.header.chain())).or_default();
        chain.entry(item.header.seq()).or_default().push(at);
    }
    chains
}

/// The platform's counter without a gap, or the next best.
pub(super) fn order(items: &[Item]) -> MessageOrder {
    let mut numbers: Vec<u64> = items.iter().map(|item| item.stamp.context.conv_seq).collect();
    numbers.sort_unstable();
    let counted = numbers.first().is_some_and(|first| *first > 0);
    let consecutive = numbers.is_sorted_by(|a, b| a.checked_add(1) == Some(*b));
    if counted && consecutive { MessageOrder::PlatformTotal } else { MessageOrder::Causal }
}

type Tie = (u64, u64, Commitment);

/// Every message after those that it follows or has seen; what that leaves open by counter, time and commitment.
pub(super) fn display_order(items: &[Item]) -> Vec<usize> {
    let tie = |at: usize| -> Option<(Tie, usize)> {
        let item = items.get(at)?;
        Some(((item.stamp.context.conv_seq, item.stamp.context.time.get(), item.commitment), at))
    };
    let mut edges = edges(items);
    let mut waiting: Vec<usize> = alloc::vec![0; items.len()];
    for to in edges.iter().flatten() {
        if let Some(count) = waiting.get_mut(*to) {
            *count += 1;
        }
    }
    let mut left: BTreeSet<(Tie, usize)> = (0..items.len()).filter_map(tie).collect();
    let mut ready: BTreeSet<(Tie, usize)> =
        left.iter().filter(|(_, at)| waiting.get(*at) == Some(&0)).copied().collect();
    let mut order = Vec::with_capacity(items.len());
    // A liar can make a circle of claims; it is cut where the platform's own data says it begins.
    while let Some(next) = ready.pop_first().or_else(|| left.first().copied()) {
        left.remove(&next);
        order.push(next.1);
        for to in edges.get_mut(next.1).map(core::mem::take).unwrap_or_default() {
            let Some(count) = waiting.get_mut(to) else { continue };
            *count = count.saturating_sub(1);
            if let (0, Some(entry)) = (*count, tie(to))
                && left.contains(&entry)
            {
                ready.insert(entry);
            }
        }
    }
    order
}

/// For each message, those that come after it: the next of its chain, and those that have seen it.
fn edges(items: &[Item]) -> Vec<BTreeSet<usize>> {
    let mut edges: Vec<BTreeSet<usize>> = alloc::vec![BTreeSet::new(); items.len()];
    let mut add = |from: usize, to: usize| {
        if let Some(after) = edges.get_mut(from) {
            after.insert(to);
        }
    };
    for chain in chains(items).values() {
        for (before, after) in chain.values().zip(chain.values().skip(1)) {
            for from in before {
                for to in after {
                    add(*from, *to);
                }
            }
        }
    }
    let places: BTreeMap<&Commitment, usize> =
        items.iter().enumerate().map(|(at, item)| (&item.commitment, at)).collect();
    for (to, item) in items.iter().enumerate() {
        for seen in item.header.seen() {
            if let Some(from) = places.get(&seen.commitment) {
                add(*from, to);
            }
        }
    }
    edges
}
