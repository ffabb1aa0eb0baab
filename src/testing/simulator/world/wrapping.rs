//! What somebody between can do to an envelope without any key.

use super::{USERS, address};
use crate::ident::{MessageName, RegistrationId};
use crate::session::{FirstMessage, SessionMessage};
use crate::testing::SeededRng;
use crate::wire::{
    Envelope, EnvelopeKind, EnvelopeSuite, FieldReader, PrekeyHeader, V1FirstMessage, V1Header, V1Message,
};

/// A bit changed somewhere: mostly in the body, else in the fields around it.
pub(super) fn other_bytes(envelope: &Envelope, rng: &mut SeededRng) -> Envelope {
    let mut other = envelope.clone();
    match rng.below(11) {
        10 => other.from = Some(address(rng.below(USERS))),
        0 => other.id[rng.below(16)] ^= 1,
        1 => other.commitment = Some([7; 32]),
        2 => other.stamp = Some([7; 32].into()),
        3 => {
            let first = other.kind == EnvelopeKind::First;
            other.kind = if first { EnvelopeKind::Message } else { EnvelopeKind::First };
        }
        4 => {
            let signal = other.suite == EnvelopeSuite::Signal;
            other.suite = if signal { EnvelopeSuite::V1 } else { EnvelopeSuite::Signal };
        }
        5 => other.body.truncate(rng.below(other.body.len())),
        _ => {
            let (at, bit) = (rng.below(other.body.len()), rng.below(8));
            if let Some(byte) = other.body.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
    other
}

/// Whether nothing authenticates what differs: the envelope's id and stamp; in a first message of V1 the registration id,
/// of `Signal` some numbers, and [who it is from](is_passed_off).
pub(super) fn may_differ(envelope: &Envelope, changed: &Envelope) -> bool {
    if envelope.body == changed.body {
        let same = Envelope { id: changed.id, stamp: changed.stamp.clone(), ..envelope.clone() };
        return same == *changed || is_passed_off(envelope, changed);
    }
    let [one, other] = [envelope, changed].map(|envelope| FirstMessage::parse(&envelope.body));
    let [Ok(one), Ok(other)] = [one, other] else { return false };
    envelope.kind == EnvelopeKind::First
        && (envelope.suite == EnvelopeSuite::Signal || one.registration_id() != other.registration_id())
}

/// Whether a first message of suite `Signal` is passed on under another name. It holds addresses where both names are
/// service ids; those here are not, and it is for the platform to say whose it is.
pub(super) fn is_passed_off(envelope: &Envelope, changed: &Envelope) -> bool {
    let is_first = envelope.kind == EnvelopeKind::First && envelope.suite == EnvelopeSuite::Signal;
    is_first && changed.from != envelope.from && Envelope { from: changed.from.clone(), ..envelope.clone() } == *changed
}

/// The same message of suite V1 in another wrapping: of a first one another registration id, or none; of a later one, that
/// of a first one.
pub(super) fn rewrapped(envelope: &Envelope, first: Option<&Envelope>, rng: &mut SeededRng) -> Option<Envelope> {
    if envelope.suite != EnvelopeSuite::V1 {
        return None;
    }
    let mut other = envelope.clone();
    if envelope.kind == EnvelopeKind::First {
        let inner = inner(&envelope.body)?;
        if rng.happens(50) {
            (other.kind, other.body) = (EnvelopeKind::Message, inner.to_vec());
        } else {
            other.body = around(&envelope.body, inner, true)?;
        }
    } else {
        let first = first?;
        (other.kind, other.body) = (EnvelopeKind::First, around(&first.body, &envelope.body, rng.happens(50))?);
    }
    Some(other)
}

/// The same message of suite V1 with another number in its chain; of a first one nothing is changed but its last byte.
pub(super) fn liar(envelope: &Envelope, rng: &mut SeededRng) -> Envelope {
    let mut other = envelope.clone();
    match with_other_number(&envelope.body, 1 << (10 + rng.below(11))) {
        Some(body) => other.body = body,
        None => other.body.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1),
    }
    other
}

fn with_other_number(body: &[u8], further: u32) -> Option<alloc::vec::Vec<u8>> {
    let message = V1Message::parse(body).ok()?;
    let mut fields = FieldReader::new(message.header());
    fields.some_bytes(1).ok()?;
    fields.some_bytes(2).ok()?;
    let counter: u32 = fields.some_number(3).ok()?;
    let pq = fields.some_bytes(4).ok()?.to_vec();
    let (session, ratchet_key, salt) = (message.session, message.ratchet_key, message.salt);
    let header = V1Header { session, ratchet_key, counter: counter.checked_add(further)?, pq, salt }.encode();
    let mut other = alloc::vec::Vec::new();
    V1Message::begin(&mut other, &header, message.ciphertext.len());
    other.extend_from_slice(&message.ciphertext);
    Some(other)
}

/// In which session of suite V1 a message is.
pub(in crate::testing::simulator) fn tag_of(envelope: &Envelope) -> Option<[u8; 8]> {
    match envelope.kind {
        EnvelopeKind::First => V1FirstMessage::parse(&envelope.body).ok().map(|first| first.message.session),
        _ => V1Message::parse(&envelope.body).ok().map(|message| message.session),
    }
}

/// What both sides know the message in it by.
pub(in crate::testing::simulator) fn name_of(envelope: &Envelope) -> Option<MessageName> {
    match envelope.kind {
        EnvelopeKind::First => FirstMessage::parse(&envelope.body).ok().map(|first| first.name()),
        _ => SessionMessage::parse(&envelope.body).ok().map(|message| message.name()),
    }
}

/// The message inside a first one.
fn inner(first: &[u8]) -> Option<&[u8]> {
    let mut fields = FieldReader::new(first.get(1..)?);
    let _: u32 = fields.some_number(1).ok()?;
    fields.optional(2).ok()?;
    let _: u32 = fields.some_number(3).ok()?;
    for field in 4..=6 {
        fields.some_bytes(field).ok()?;
    }
    let _: u32 = fields.some_number(7).ok()?;
    fields.some_bytes(8).ok()
}

/// A message in the wrapping of a first one, perhaps with another registration id.
fn around(first: &[u8], message: &[u8], other_id: bool) -> Option<alloc::vec::Vec<u8>> {
    let first = V1FirstMessage::parse(first).ok()?;
    let header = PrekeyHeader {
        registration_id: RegistrationId::new(first.registration_id.get() ^ u32::from(other_id)),
        one_time_prekey: first.one_time_prekey,
        signed_prekey: first.signed_prekey,
        kem_prekey: first.kem_prekey,
        kem_ciphertext: &first.kem_ciphertext,
        base_key: &first.base_key,
        identity_key: &first.identity_key,
    };
    Some(V1FirstMessage::encode(&header, message))
}
