//! What somebody does to a device that is being linked, each by name.

use std::vec::Vec;

use super::common::*;
use crate::account::*;
use crate::ident::{DeviceId, Timestamp};
use crate::suite::Suites;

/// A new device and the primary, in the middle of a link.
fn linking() -> (LinkOffer, PendingLink, Vec<u8>) {
    let mut rng = crate::support::rng(5);
    let offer = LinkOffer::new(NOW, &mut rng);
    let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
    assert_eq!(scanned.mailbox(), offer.mailbox());
    let (pending, answer) = scanned.answer(&first(1), NOW, &mut rng).unwrap();
    (offer, pending, answer)
}

#[test]
fn link_offer_answered_twice() {
    let (mut offer, _, answer) = linking();
    assert!(offer.open(&answer, NOW).is_ok());
    assert_eq!(offer.open(&answer, NOW).err(), Some(LinkError::Answered));
}

#[test]
fn link_offer_expired() {
    let (mut offer, pending, answer) = linking();
    let (last, late) = (Timestamp::new(NOW.get() + 600_000), Timestamp::new(NOW.get() + 600_001));
    assert_eq!(offer.open(&answer, late).err(), Some(LinkError::Expired));
    let linked = offer.open(&answer, last).unwrap();
    let (_, consent) = linked.consent(Suites::V1, &mut crate::support::rng(1));
    assert_eq!(pending.complete(&consent, linked.digits().as_str(), late).err(), Some(LinkError::Expired));
}

#[test]
fn link_answer_replayed_for_another_offer() {
    let (_, _, answer) = linking();
    let mut other = LinkOffer::new(NOW, &mut crate::support::rng(6));
    assert_eq!(other.open(&answer, NOW).err(), Some(LinkError::NotAuthentic));
    // Garbage in the mailbox ends nothing.
    for garbage in [&[][..], &[1; 20], &[2; 200], &answer[..answer.len() - 1], &[1; 20_000]] {
        assert_eq!(other.open(garbage, NOW).err(), Some(LinkError::NotAuthentic));
    }
    let scanned = ScannedOffer::parse(&other.qr()).unwrap();
    let (_, right) = scanned.answer(&first(1), NOW, &mut crate::support::rng(7)).unwrap();
    assert!(other.open(&right, NOW).is_ok());
}

/// Whoever photographed the screen provisions first: into an account of his own, or with the genuine answer in his own words.
#[test]
fn link_offer_photographed() {
    for seed in [1, 9] {
        let (mut offer, pending, _) = linking();
        let mut rng = crate::support::rng(8);
        let photo = ScannedOffer::parse(&offer.qr()).unwrap();
        let (_, theirs) = photo.answer(&first(seed), NOW, &mut rng).unwrap();
        let linked = offer.open(&theirs, NOW).unwrap();
        let (_, consent) = linked.consent(Suites::V1, &mut rng);
        // The person types what the new device shows into the phone, which gave other keys.
        let completed = pending.complete(&consent, linked.digits().as_str(), NOW);
        assert_eq!(completed.err(), Some(LinkError::WrongDigits));
    }
}

#[test]
fn wrong_digits() {
    for typed in ["", "000000", "0000000", "00000", "abcdef"] {
        let (mut offer, pending, answer) = linking();
        let linked = offer.open(&answer, NOW).unwrap();
        assert_ne!(linked.digits().as_str(), typed);
        let (_, consent) = linked.consent(Suites::V1, &mut crate::support::rng(1));
        // `complete` takes the link: there is no second try.
        assert_eq!(pending.complete(&consent, typed, NOW).err(), Some(LinkError::WrongDigits));
    }
}

#[test]
fn consent_for_another_account() {
    let mut rng = crate::support::rng(9);
    for of_account in [true, false] {
        let (mut offer, pending, answer) = linking();
        let linked = offer.open(&answer, NOW).unwrap();
        let account = account(if of_account { 2 } else { 1 });
        let id = DeviceId::new(if of_account { 2 } else { 3 });
        let other = RosterDevice::consent(&alice(), id, Suites::V1, account.public(), linked.identity(), &mut rng);
        let consent = linked.sealed(&other, &mut rng);
        let completed = pending.complete(&consent, linked.digits().as_str(), NOW);
        assert_eq!(completed.err(), Some(LinkError::Consent));
    }
    // Not sealed in this link.
    let (mut offer, pending, answer) = linking();
    let linked = offer.open(&answer, NOW).unwrap();
    assert_eq!(pending.complete(&[2; 140], linked.digits().as_str(), NOW).err(), Some(LinkError::NotAuthentic));
}

#[test]
fn link_to_a_roster_that_is_not_the_accounts() {
    let mut rng = crate::support::rng(3);
    let future = first(1).next(days(2)).sign(&account(1)).unwrap();
    let mut offer = LinkOffer::new(NOW, &mut rng);
    let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
    let (_, answer) = scanned.answer(&future, NOW, &mut rng).unwrap();
    assert_eq!(offer.open(&answer, NOW).err(), Some(LinkError::OtherRoster));

    let exhausted = forged(&first(1), &account(1), |body| body.last_device = u32::MAX);
    let exhausted = verified(&exhausted).unwrap();
    let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
    assert_eq!(scanned.answer(&exhausted, NOW, &mut rng).err(), Some(LinkError::NoId));
}

#[test]
fn what_is_scanned_is_an_offer_or_refused() {
    let (offer, ..) = linking();
    let qr = offer.qr();
    for cut in 0..qr.len() {
        assert_eq!(ScannedOffer::parse(&qr[..cut]).err(), Some(LinkError::NoOffer));
    }
    assert_eq!(ScannedOffer::parse(&[&qr[..], &[0]].concat()).err(), Some(LinkError::NoOffer));
    // A one-use key of small order: nothing is agreed with it.
    let mut small = qr.to_vec();
    small[15 + 33..][..33].fill(0);
    small[15 + 33] = 5;
    let scanned = ScannedOffer::parse(&small).unwrap();
    let refused = scanned.answer(&first(1), NOW, &mut crate::support::rng(1));
    assert_eq!(refused.err(), Some(LinkError::NoOffer));
}

/// Whatever stage a link is at, it goes on from storage.
#[test]
fn what_is_stored_goes_on() {
    use crate::wire::RecordError;
    let (mut offer, pending, answer) = linking();
    offer = LinkOffer::from_bytes(&offer.to_bytes()).unwrap();
    let linked = offer.open(&answer, NOW).unwrap();
    let mut again = LinkOffer::from_bytes(&offer.to_bytes()).unwrap();
    assert_eq!(again.open(&answer, NOW).err(), Some(LinkError::Answered));
    let (consented, consent) = linked.consent(Suites::V1, &mut crate::support::rng(1));
    let stored = pending.to_bytes();
    let pending = PendingLink::from_bytes(&stored).unwrap();
    assert_eq!(pending.complete(&consent, linked.digits().as_str(), NOW), Ok(consented));

    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    type Reader = fn(&[u8]) -> Result<(), RecordError>;
    let records: [(Vec<u8>, Reader); 3] = [
        (held.to_bytes(), |bytes| HeldRoster::from_bytes(bytes).map(drop)),
        (offer.to_bytes().to_vec(), |bytes| LinkOffer::from_bytes(bytes).map(drop)),
        (stored.to_vec(), |bytes| PendingLink::from_bytes(bytes).map(drop)),
    ];
    for (bytes, read) in records {
        assert_eq!(read(&bytes), Ok(()));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        assert_eq!(read(&[&bytes[..], &[0xa0, 6, 1]].concat()), Err(RecordError::Corrupt));
        assert_eq!(read(&[&[bytes[0], 0, 2], &bytes[3..]].concat()), Err(RecordError::Newer(2)));
    }
    // A date too few.
    let mut short = held.to_bytes();
    short.drain(3..13);
    assert_eq!(HeldRoster::from_bytes(&short), Err(RecordError::Corrupt));
}
