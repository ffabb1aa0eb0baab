//! What is written, posted, delivered: by devices that crash, through a server that does what it likes.

use alloc::format;
use alloc::vec::Vec;

use super::wrapping::{is_passed_off, may_differ, other_bytes, rewrapped, tag_of};
use super::{Broken, Crashed, Mutation, SENTINEL, Step, World};
use crate::client::ReceiveError;
use crate::report::FrameError;
use crate::session::{AcceptError, PrekeyKind};
use crate::testing::{Answer, Posted};
use crate::wire::{Envelope, EnvelopeKind, EnvelopeSuite, PreKeySignalMessage, SignalMessage};

/// Most steps of chains for one message: what a counter may say, in each of two ratchets, and something for what is looked at
/// twice.
const MOST_STEPS: u64 = 60_000;

impl World {
    /// A user writes something; a row, and no more.
    fn draft(&mut self, user: usize, to: usize) -> [u8; 16] {
        let text = format!("{SENTINEL} {}", self.ledger.written());
        let address = self.parties[to].address.clone();
        let id = self.parties[user].host.write_draft(&address, text.as_bytes());
        self.ledger.wrote(id, user, to, text.as_bytes());
        self.note(format!("{user} writes to {to}: {text}"));
        id
    }

    pub(super) fn write(&mut self, user: usize) -> Step {
        let to = self.peer_of(user);
        self.draft(user, to);
        self.send(user)
    }

    pub(super) fn write_to(&mut self, user: usize, to: usize) -> [u8; 16] {
        self.draft(user, to)
    }

    /// Much is written at once, mostly not very much.
    pub(super) fn burst(&mut self, user: usize) -> Step {
        let to = self.peer_of(user);
        let many = match self.rng.below(100) {
            0..70 => 2 + self.rng.below(8),
            // From a state in which hundreds are missing all is well only after days.
            70..97 => 10 + self.rng.below(20),
            _ if self.small => 30,
            _ => 100 + self.rng.below(400),
        };
        for _ in 0..many {
            self.draft(user, to);
        }
        self.send(user)
    }

    pub(super) fn send(&mut self, user: usize) -> Step {
        let now = self.time(user);
        if self.mutation == Some(Mutation::SendBeforeCommit)
            && let Some(outgoing) = self.parties[user].host.send_before_commit(now)
        {
            self.server.post(outgoing.envelope(), 0, 0);
            self.went_out(user, outgoing.envelope())?;
        }
        let done = self.parties[user].host.send_drafts(&mut self.server, now);
        self.look(user);
        self.opened(user, done)?;
        self.mend(user)?;
        self.post(user, 5)
    }

    /// Posts what is in the outbox, unless the host comes to its end between the commit and the network.
    pub(super) fn post(&mut self, user: usize, faults: usize) -> Step {
        self.look(user);
        let faults = if self.good { 0 } else { faults };
        let withheld = if faults == 0 { 0 } else { self.nature.withheld };
        for outgoing in self.parties[user].host.outbox() {
            if self.rng.happens(faults) {
                self.note(format!("{user} ends before it posts"));
                return self.opened(user, Err(Crashed));
            }
            let posted = self.server.post(outgoing.envelope(), withheld, faults);
            if matches!(posted, Posted::Taken | Posted::Lost) {
                self.parties[user].host.posted(outgoing.id());
            }
            if let (Posted::Taken, Some(stamp)) = (posted, self.server.stamps.of(outgoing.envelope())) {
                let now = self.time(user);
                let taken = self.parties[user].host.take_stamp(&outgoing, stamp, now);
                self.opened(user, taken)?;
            }
            if posted != Posted::Taken {
                let which = self.ledger.named(outgoing.id());
                self.note(format!("{user} posts {which}: {posted:?}"));
            }
            if posted == Posted::Lost {
                self.ledger.dropped(outgoing.id());
            }
            self.went_out(user, outgoing.envelope())?;
        }
        Ok(())
    }

    /// In suite `Signal` no key goes out under two texts.
    fn went_out(&mut self, user: usize, envelope: &Envelope) -> Step {
        if let (Some(tag), Some(to)) = (tag_of(envelope), self.ledger.user(&envelope.to)) {
            self.tags.insert((user, to), tag);
        }
        if envelope.suite != EnvelopeSuite::Signal {
            return Ok(());
        }
        let message = if envelope.kind == EnvelopeKind::First {
            PreKeySignalMessage::parse(&envelope.body).map(|first| first.message)
        } else {
            SignalMessage::parse(&envelope.body)
        };
        let Ok(message) = message else { return Err(Broken::Refused("malformed".into())) };
        let key = (user, message.ratchet_key.to_bytes().to_vec(), message.counter);
        let before = self.signal_keys.entry(key).or_insert_with(|| message.ciphertext.clone());
        if *before == message.ciphertext { Ok(()) } else { Err(Broken::KeyRepeated) }
    }

    pub(super) fn take(&mut self, user: usize, twice: usize) -> Option<Envelope> {
        let address = self.parties[user].address.clone();
        self.server.take(&address, twice)
    }

    pub(super) fn deliver(&mut self, user: usize) -> Step {
        let Some(envelope) = self.take(user, 10) else { return Ok(()) };
        if self.rng.happens(self.nature.garbled) {
            // Before the right one, in its place, or long before it.
            let instead = self.rng.below(3);
            let changed = other_bytes(&envelope, &mut self.rng);
            if instead == 0 {
                self.ledger.dropped(&envelope.id);
            }
            self.deliver_changed(user, &envelope, &changed)?;
            match instead {
                0 => return Ok(()),
                1 => {
                    self.server.put_back(envelope, true);
                    return Ok(());
                }
                _ => {}
            }
        }
        if self.rng.happens(self.nature.replayed)
            && let Some(wrapped) = self.wrapped_anew(user, &envelope)
        {
            self.note(format!("{user} is given {} in another wrapping", self.ledger.named(&envelope.id)));
            self.deliver_as_it_is(user, &wrapped)?;
        }
        self.deliver_as_it_is(user, &envelope)
    }

    /// The same message in another wrapping, if that can be made: that of an older first message of its sender, or none.
    fn wrapped_anew(&mut self, user: usize, envelope: &Envelope) -> Option<Envelope> {
        let address = self.parties[user].address.clone();
        let first = (0..4).find_map(|_| {
            self.server
                .remember(&address)
                .filter(|other| other.kind == EnvelopeKind::First && other.from == envelope.from)
        });
        rewrapped(envelope, first.as_ref(), &mut self.rng)
    }

    pub(super) fn deliver_as_it_is(&mut self, user: usize, envelope: &Envelope) -> Step {
        let received = self.receive(user, envelope)?;
        self.look_whether_read(user, envelope);
        match received {
            Ok(answer) => {
                self.answered(user, envelope, &answer)?;
                // An app looks at what is wanted when it has received something.
                if self.rng.happens(30) { self.bring(user) } else { Ok(()) }
            }
            Err(crashed) => {
                self.server.put_back(envelope.clone(), false);
                self.opened(user, Err(crashed))
            }
        }
    }

    /// Receives one envelope, whatever it is, at a bounded cost. Of suite `Signal` each archived session may have to be tried.
    fn receive(&mut self, user: usize, envelope: &Envelope) -> Result<Result<Answer, Crashed>, Broken> {
        let (now, before) = (self.time(user), crate::crypto::steps::count());
        let received = self.parties[user].host.receive(envelope, now);
        let steps = crate::crypto::steps::count() - before;
        if steps > MOST_STEPS && !self.nature.signal { Err(Broken::Overworked(steps)) } else { Ok(received) }
    }

    /// Somebody between has changed something of an envelope.
    pub(super) fn deliver_changed(&mut self, user: usize, envelope: &Envelope, changed: &Envelope) -> Step {
        self.report.garbled += 1;
        self.ledger.monitor.mishap();
        self.ledger.changed(changed);
        if is_passed_off(envelope, changed) {
            self.ledger.passes_off(changed);
        }
        let received = self.receive(user, changed)?;
        self.look_whether_read(user, envelope);
        match received {
            Ok(Answer::Read) if may_differ(envelope, changed) => self.answered(user, envelope, &Answer::Read),
            Ok(Answer::Read) => Err(Broken::Refused(format!("{:?}: a changed one was read", envelope.kind))),
            Ok(answer) => {
                let which = self.ledger.named(&envelope.id);
                self.note(format!("{user} receives {which}, changed: {answer:?}"));
                if matches!(answer, Answer::Unreadable(_)) {
                    self.ledger.unreadable_copy(&envelope.id);
                }
                Ok(())
            }
            Err(crashed) => self.opened(user, Err(crashed)),
        }
    }

    /// A message may have been read though its host came to its end, or calls it a duplicate since it did not know.
    fn look_whether_read(&mut self, user: usize, envelope: &Envelope) {
        self.ledger.look_for(&envelope.id, self.parties[user].host.tables());
        self.look(user);
    }

    pub(super) fn answered(&mut self, user: usize, envelope: &Envelope, answer: &Answer) -> Step {
        let which = self.ledger.named(&envelope.id);
        let tables = self.parties[user].host.tables();
        let (unread, gone) = (tables.unreadable.len(), tables.gone.len());
        self.note(format!("{user} receives {which}, {:?}: {answer:?}; of {unread} {gone} gone", envelope.kind));
        if !matches!(answer, Answer::Again(_)) {
            self.ledger.answered(envelope, answer);
        }
        match answer {
            Answer::Unreadable(AcceptError::UnknownPrekey(PrekeyKind::Signed | PrekeyKind::Kem, id))
                if self.ledger.is_unspoilt(user) && self.server.stored_prekeys.is_good(&envelope.to, *id, self.now) =>
            {
                Err(Broken::PrekeyGone)
            }
            Answer::Read | Answer::Unreadable(_) => Ok(()),
            Answer::Refused(ReceiveError::Duplicate | ReceiveError::NotAuthentic) => Ok(()),
            Answer::Again(ReceiveError::Stored(_)) => {
                self.server.put_back(envelope.clone(), true);
                self.mend(user)
            }
            Answer::Again(ReceiveError::Unframed) => {
                self.server.put_back(envelope.clone(), true);
                // The user is asked, and lets it in.
                let (now, from) = (self.time(user), envelope.from.clone());
                let allowed = from.map(|from| self.parties[user].host.allow_unframed(&from, now));
                allowed.map_or(Ok(()), |allowed| self.opened(user, allowed))
            }
            Answer::Refused(ReceiveError::Frame(FrameError::FalseSeen)) => Err(Broken::Blamed),
            // It was read meanwhile, as what was sent again for it. The ledger knows if it was not.
            Answer::Refused(ReceiveError::Frame(FrameError::TooOld)) => Ok(()),
            Answer::Refused(error) | Answer::Again(error) => Err(Broken::Refused(format!("{error}"))),
        }
    }

    pub(super) fn deliver_many(&mut self, user: usize) -> Step {
        let most = if self.rng.happens(80) { 12 } else { 500 };
        let envelopes: Vec<_> = (0..most).map_while(|_| self.take(user, 10)).collect();
        self.receive_all(user, envelopes)
    }

    /// An inbox, as it is.
    pub(super) fn receive_all(&mut self, user: usize, mut envelopes: Vec<Envelope>) -> Step {
        let now = self.time(user);
        while !envelopes.is_empty() {
            let received = self.parties[user].host.receive_many(&envelopes, now);
            for envelope in &envelopes {
                self.look_whether_read(user, envelope);
            }
            match received {
                Ok(answers) if answers.is_empty() => return Err(Broken::Stuck("an inbox".into())),
                Ok(answers) => {
                    let rest = envelopes.split_off(answers.len().min(envelopes.len()));
                    for (envelope, answer) in envelopes.iter().zip(&answers) {
                        self.answered(user, envelope, answer)?;
                    }
                    envelopes = rest;
                }
                Err(crashed) => {
                    for envelope in envelopes.into_iter().rev() {
                        self.server.put_back(envelope, false);
                    }
                    return self.opened(user, Err(crashed));
                }
            }
        }
        Ok(())
    }

    /// The server replays what was long received, again and again.
    pub(super) fn replay(&mut self, user: usize) -> Step {
        let address = self.parties[user].address.clone();
        let Some(envelope) = self.server.remember(&address) else { return Ok(()) };
        let which = self.ledger.named(&envelope.id);
        let times = 1 + self.rng.below(6);
        self.note(format!("{user} is given {which} again, {times} times"));
        for _ in 0..times {
            match self.wrapped_anew(user, &envelope).filter(|_| self.rng.happens(40)) {
                Some(wrapped) => self.deliver_as_it_is(user, &wrapped)?,
                None => self.deliver_as_it_is(user, &envelope)?,
            }
            if self.rng.happens(20) {
                self.bring(user)?;
            }
        }
        Ok(())
    }

    pub(super) fn bring(&mut self, user: usize) -> Step {
        let now = self.time(user);
        let done = self.parties[user].host.bring(&mut self.server, now);
        self.look(user);
        self.opened(user, done)?;
        self.post(user, 5)
    }

    /// Two workers on one database.
    pub(super) fn race(&mut self, user: usize) -> Step {
        let (to, now) = (self.peer_of(user), self.time(user));
        let ids = [(); 2].map(|()| self.draft(user, to));
        let drafts = self.parties[user].host.tables().drafts();
        let drafts: Vec<_> = drafts.iter().filter(|draft| ids.contains(&draft.id)).cloned().collect();
        let [one, other] = drafts.as_slice() else { return Ok(()) };
        let envelope = self.take(user, 0);
        let done = self.parties[user].host.race_of_senders(one, other, now);
        self.look(user);
        self.opened(user, done)?;
        if let Some(envelope) = envelope {
            let amid = self.rng.happens(50);
            let raced = self.parties[user].host.race(one, &envelope, amid, now);
            self.look_whether_read(user, &envelope);
            match raced {
                Ok(answer) => self.answered(user, &envelope, &answer)?,
                Err(crashed) => {
                    self.server.put_back(envelope, false);
                    self.opened(user, Err(crashed))?;
                }
            }
        }
        self.send(user)
    }
}
