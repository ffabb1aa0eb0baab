//! A network that loses, reorders and repeats, and the rule that every conversation over it is held to: what arrives
//! decrypts once, to what was sent, and a repetition is refused as one.

use core::fmt;
use std::collections::BTreeSet;

use subrosa::session::Ciphertext;

use crate::chance::Chance;

/// Messages lost, in percent.
const LOSS: usize = 10;
/// Messages that arrive twice, in percent.
const REPEATED: usize = 8;
/// Messages that arrive bursts later, in percent.
const LATE: usize = 20;
/// At most so many bursts later. Both libraries keep five receiving chains, and a burst starts one at most.
const MAX_BURSTS_LATE: usize = 3;

/// Why a party gives no plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    Duplicate,
    Other(String),
}

/// One end of a conversation.
pub(crate) trait Party {
    /// Whether there is a session to send with.
    fn ready(&mut self) -> bool;
    fn encrypt(&mut self, plaintext: &[u8]) -> Ciphertext;
    fn decrypt(&mut self, message: &Ciphertext) -> Result<Vec<u8>, Refused>;
    /// Called between bursts.
    fn pause(&mut self) {}
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    pub(crate) delivered: usize,
    pub(crate) overtaken: usize,
    pub(crate) duplicates: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, lost, delivered, overtaken, duplicates } = self;
        write!(
            f,
            "{sent} sent, {lost} lost, {delivered} decrypted ({overtaken} out of order), {duplicates} duplicates refused"
        )
    }
}

#[derive(Clone)]
struct Packet {
    number: usize,
    plaintext: Vec<u8>,
    message: Ciphertext,
}

/// One direction.
#[derive(Default)]
struct Link {
    burst: usize,
    sent: usize,
    /// What is under way, and with which burst it arrives.
    under_way: Vec<(usize, Packet)>,
    arrived: BTreeSet<usize>,
}

impl Link {
    fn send(&mut self, from: &mut dyn Party, chance: &mut Chance, tally: &mut Tally) {
        let mut plaintext = self.sent.to_be_bytes().to_vec();
        let len = chance.below(120);
        plaintext.extend(chance.bytes(len));
        let message = from.encrypt(&plaintext);
        let packet = Packet { number: self.sent, plaintext, message };
        self.sent += 1;
        tally.sent += 1;
        if chance.percent(LOSS) {
            tally.lost += 1;
            return;
        }
        let copies = if chance.percent(REPEATED) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if chance.percent(LATE) { 1 + chance.below(MAX_BURSTS_LATE) } else { 0 };
            self.under_way.push((self.burst + late, packet.clone()));
        }
    }

    fn arrive(&mut self, to: &mut dyn Party, chance: &mut Chance, tally: &mut Tally) {
        let burst = self.burst;
        self.burst += 1;
        let mut arriving: Vec<_> = self.under_way.extract_if(.., |(due, _)| *due <= burst).collect();
        chance.shuffle(&mut arriving);
        for (_, Packet { number, plaintext, message }) in arriving {
            let opened = to.decrypt(&message);
            if self.arrived.contains(&number) {
                assert_eq!(opened, Err(Refused::Duplicate), "message {number} again");
                tally.duplicates += 1;
                continue;
            }
            assert_eq!(opened, Ok(plaintext), "message {number}");
            tally.delivered += 1;
            tally.overtaken += usize::from(self.arrived.last().is_some_and(|last| *last > number));
            self.arrived.insert(number);
        }
    }
}

/// Lets two parties send `each` messages each, in turns, over a network that loses, reorders and repeats.
pub(crate) fn talk(mut parties: [&mut dyn Party; 2], each: usize, chance: &mut Chance) -> Tally {
    let (mut links, mut tally) = ([Link::default(), Link::default()], Tally::default());
    while links.iter().any(|link| link.sent < each || !link.under_way.is_empty()) {
        for (side, link) in links.iter_mut().enumerate() {
            let [from, to] = &mut parties;
            let (from, to) = if side == 0 { (from, to) } else { (to, from) };
            from.pause();
            if from.ready() {
                let burst = 1 + if chance.percent(6) { chance.below(40) } else { chance.below(6) };
                for _ in 0..burst.min(each - link.sent) {
                    link.send(*from, chance, &mut tally);
                }
            }
            link.arrive(*to, chance, &mut tally);
        }
    }
    assert_eq!(tally.delivered + tally.lost, tally.sent);
    tally
}

/// A message goes over and arrives.
pub(crate) fn pass(from: &mut dyn Party, to: &mut dyn Party, plaintext: &[u8]) -> Ciphertext {
    let message = from.encrypt(plaintext);
    assert_eq!(to.decrypt(&message).as_deref(), Ok(plaintext));
    message
}
