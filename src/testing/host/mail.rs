use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Crash, Crashed, Directory, Draft, Host, Tables};
use crate::client::{
    AddError, Added, Client, Disposition, Outgoing, ReceiveError, Received, ResendError, ResetError, SendError, Task,
};
use crate::ident::{Address, MessageId, Timestamp};
use crate::session::AcceptError;
use crate::wire::Envelope;

/// What the transport is told of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was read.
    Read,
    /// It cannot be read, and is done with.
    Unreadable(AcceptError),
    /// It was refused, and is done with.
    Refused(ReceiveError),
    /// It is to come again.
    Again(ReceiveError),
}

impl Host {
    /// The user has written something: a row, before anything else is tried. Gives what names it.
    pub fn write_draft(&mut self, to: &Address, text: &[u8]) -> [u8; 16] {
        let (id, message_id) = (self.draw(), MessageId::new(self.draw()));
        self.tables.drafts.push(Draft { id, message_id, to: to.clone(), text: text.to_vec() });
        id
    }

    /// Sends what the user has written; brings a bundle where there is no session, and leaves it where the user has to
    /// decide first.
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn send_drafts(&mut self, relay: &mut impl Directory, now: Timestamp) -> Result<(), Crashed> {
        let mut fetched = BTreeSet::new();
        for draft in self.tables.drafts.clone() {
            while let Err(error) = self.send(&draft, now)? {
                self.tables.told_of(&draft, &error);
                // A row of before that was put back knows of another key of which the user was asked long ago.
                if error == SendError::IdentityChanged
                    && !self.tables.changed.contains_key(&draft.to)
                    && self.ask_anew(&draft.to, now)?
                {
                    continue;
                }
                if error != SendError::NoSession || !fetched.insert(draft.to.clone()) {
                    break;
                }
                if let Err(error) = self.add(relay, &draft.to, now)? {
                    self.tables.told_of(&draft, &error);
                }
            }
        }
        Ok(())
    }

    /// Asks the user about the key that waits, of which the host's own table knows nothing. Whether the known one goes on, as
    /// it does where nobody knows the other one any more.
    fn ask_anew(&mut self, peer: &Address, now: Timestamp) -> Result<bool, Crashed> {
        let known = self.run(now, |client| client.peer(peer), |_, _| {})?;
        let Some(known) = known.ok().flatten().filter(|known| known.awaits_decision) else { return Ok(false) };
        if let Some(key) = known.changed_key {
            self.tables.ask_about(peer, &key);
            return Ok(false);
        }
        Ok(self.run(now, |client| client.refuse_identity(peer), |_, ()| {})?.is_ok())
    }

    /// Sends one draft.
    pub(in crate::testing) fn send(&mut self, draft: &Draft, now: Timestamp) -> Result<Result<(), SendError>, Crashed> {
        let sent = if self.frames {
            self.send_framed(draft, now)?
        } else {
            let sent = self.run(
                now,
                |client| client.send(draft.message_id, &draft.to, &draft.plaintext()),
                |tables, sent| tables.sent(draft, sent),
            )?;
            sent.map(|_| ())
        };
        if let Err(SendError::Stored(error)) = &sent {
            self.damaged.insert(draft.to.clone(), *error);
        }
        Ok(sent)
    }

    /// Makes the envelope of the first draft and gives it away before anything is stored: a defect for the simulator to
    /// find.
    pub(in crate::testing) fn send_before_commit(&mut self, now: Timestamp) -> Option<Outgoing> {
        let draft = self.tables.drafts.first()?.clone();
        let operation = self.client.send(draft.message_id, &draft.to, &draft.plaintext());
        let staged = self.stage(operation, now).ok()?;
        let outgoing = staged.output().outgoing().first()?.clone();
        // The app was ended in between.
        if self.crash.take_if(|crash| *crash == Crash::Before).is_none() {
            self.commit(staged.batch(), |tables| tables.sent(&draft, staged.output())).ok()?;
            self.posted(outgoing.id());
        }
        Some(outgoing)
    }

    /// What is to be posted, in order.
    #[must_use]
    pub fn outbox(&self) -> Vec<Outgoing> {
        self.tables.outbox.clone()
    }

    /// The relay has it.
    pub fn posted(&mut self, id: &[u8; 16]) {
        self.tables.outbox.retain(|outgoing| outgoing.id() != id);
    }

    /// Receives an envelope.
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn receive(&mut self, envelope: &Envelope, now: Timestamp) -> Result<Answer, Crashed> {
        let received = self.run_unless(
            now,
            |client| client.receive(envelope),
            Tables::is_late,
            |tables, received| tables.arrived(envelope, received),
        )?;
        self.then(envelope, received, now)
    }

    /// Receives many envelopes in one transaction; fewer answers than envelopes are for the first of them.
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn receive_many(&mut self, envelopes: &[Envelope], now: Timestamp) -> Result<Vec<Answer>, Crashed> {
        let late = |tables: &Tables, outcomes: &Vec<Result<Received, ReceiveError>>| {
            outcomes.iter().flatten().any(|received| tables.is_late(received))
        };
        let received = self.run_unless(
            now,
            |client| client.receive_many(envelopes),
            late,
            |tables, outcomes| {
                for (envelope, received) in envelopes.iter().zip(outcomes) {
                    if let Ok(received) = received {
                        tables.arrived(envelope, received);
                    }
                }
            },
        )?;
        let Ok(outcomes) = received;
        // What is late is not committed, and so nothing with it: each for itself.
        if late(&self.tables, &outcomes) {
            return envelopes.iter().map(|envelope| self.receive(envelope, now)).collect();
        }
        envelopes.iter().zip(outcomes).map(|(envelope, outcome)| self.then(envelope, outcome, now)).collect()
    }

    /// What follows when an envelope was received, beside what was written with it.
    fn then(
        &mut self,
        envelope: &Envelope,
        received: Result<Received, ReceiveError>,
        now: Timestamp,
    ) -> Result<Answer, Crashed> {
        match &received {
            // Read before, and delivered again: it was dropped with its staging.
            Ok(received) if self.tables.is_late(received) => return Ok(Answer::Refused(ReceiveError::Duplicate)),
            // The library cannot know that it was never read; the table does.
            Ok(Received::Unreadable(unreadable))
                if !unreadable.asked && unreadable.reason == AcceptError::LongPast && !self.tables.names_lost =>
            {
                self.run(now, |client| client.ask_again(&unreadable.from, &[unreadable.name]), |_, ()| {})?.ok();
            }
            _ => {}
        }
        self.note_damage(envelope, received.as_ref().err());
        Ok(answer(received.as_ref()))
    }

    fn note_damage(&mut self, envelope: &Envelope, error: Option<&ReceiveError>) {
        if let (Some(ReceiveError::Stored(error)), Some(from)) = (error, &envelope.from) {
            self.damaged.insert(from.clone(), *error);
        }
    }

    /// Two workers on one database: one receives, and the other one sends before that is committed, or `amid` its
    /// loading; who comes second stages again.
    pub(in crate::testing) fn race(
        &mut self,
        draft: &Draft,
        envelope: &Envelope,
        amid: bool,
        now: Timestamp,
    ) -> Result<Answer, Crashed> {
        let (receiving, mut sent) = (self.client.receive(envelope), Ok(()));
        let mut send = |host: &mut Self| sent = host.send(draft, now).map(|_| ());
        let staged = if amid {
            self.stage_amid(receiving, now, send)
        } else {
            let staged = self.stage(receiving, now);
            send(self);
            staged
        };
        sent?;
        if let Ok(staged) = staged
            && !self.tables.is_late(staged.output())
        {
            let committed = self.commit(staged.batch(), |tables| tables.arrived(envelope, staged.output()));
            if committed.is_ok() {
                return self.then(envelope, Ok(staged.committed()), now);
            }
        }
        self.receive(envelope, now)
    }

    /// Two workers that both send.
    pub(in crate::testing) fn race_of_senders(
        &mut self,
        one: &Draft,
        other: &Draft,
        now: Timestamp,
    ) -> Result<(), Crashed> {
        if self.frames {
            return self.race_of_framers(one, other, now);
        }
        let sending = self.client.send(one.message_id, &one.to, &one.plaintext());
        let staged = self.stage(sending, now);
        self.send(other, now)?.ok();
        if let Ok(staged) = staged {
            // Whoever loses leaves its draft where it is.
            let _ = self.commit(staged.batch(), |tables| tables.sent(one, staged.output()));
        }
        Ok(())
    }

    /// Two workers that both receive: one before the other one commits, or `amid` its loading.
    pub(in crate::testing) fn race_of_receivers(
        &mut self,
        one: &Envelope,
        other: &Envelope,
        amid: bool,
        now: Timestamp,
    ) -> Result<[Answer; 2], Crashed> {
        let (receiving, mut second) = (self.client.receive(one), Err(Crashed));
        let staged = if amid {
            self.stage_amid(receiving, now, |host| second = host.receive(other, now))
        } else {
            let staged = self.stage(receiving, now);
            second = self.receive(other, now);
            staged
        };
        let second = second?;
        if let Ok(staged) = staged
            && !self.tables.is_late(staged.output())
            && self.commit(staged.batch(), |tables| tables.arrived(one, staged.output())).is_ok()
        {
            return Ok([self.then(one, Ok(staged.committed()), now)?, second]);
        }
        Ok([self.receive(one, now)?, second])
    }

    /// The table of the names of what was read is lost, and the host knows.
    pub(in crate::testing) fn lose_names(&mut self) {
        self.tables.read.clear();
        self.tables.names_lost = true;
    }

    /// Archives the session with a peer.
    ///
    /// # Errors
    ///
    /// [`Crashed`]; inside, the library's own.
    pub fn reset(&mut self, peer: &Address, now: Timestamp) -> Result<Result<(), ResetError>, Crashed> {
        self.run(now, |client| client.reset(peer), |_, ()| {})
    }

    /// Does what the library says is to be done, but for its [upkeep](Self::attend).
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn bring(&mut self, relay: &mut impl Directory, now: Timestamp) -> Result<(), Crashed> {
        let tasks = self.run(now, Client::todo, |_, _| {})?;
        for task in tasks.unwrap_or_default() {
            match task {
                Task::FetchBundle(peer) => {
                    self.tables.idle_wants += u64::from(self.tables.unreadable.is_empty());
                    self.add(relay, &peer, now)?.ok();
                }
                Task::Resend { address, message_id } => self.resend(&address, message_id, now)?,
                Task::PublishPrekeys => self.upload(relay, now)?,
                // Whoever drives the host says when it is awake for long enough.
                // The relay knows no rosters: here devices know each other.
                Task::Maintain | Task::PublishRoster | Task::FetchRoster(_) | Task::Wipe => {}
            }
        }
        Ok(())
    }

    /// Sends again what a device asks for, or says that it is gone.
    fn resend(&mut self, address: &Address, message_id: MessageId, now: Timestamp) -> Result<(), Crashed> {
        let draft = self.tables.sent.get(&message_id).filter(|draft| draft.to == *address).cloned();
        if let Some(draft) = draft {
            let content = self.tables.inner.get(&message_id).cloned().unwrap_or_else(|| draft.plaintext());
            let resent = self.run(
                now,
                |client| client.resend(message_id, address, &content),
                |tables, sent| tables.sent(&draft, sent),
            )?;
            if resent != Err(ResendError::OtherContent) {
                return Ok(());
            }
        }
        let gone = |client: &Client| client.decline_resend(message_id, address);
        self.run(now, gone, |tables, said| said.iter().for_each(|outgoing| tables.reply(outgoing)))?.ok();
        Ok(())
    }

    /// Brings a device's bundle.
    fn add(
        &mut self,
        relay: &mut impl Directory,
        peer: &Address,
        now: Timestamp,
    ) -> Result<Result<Added, AddError>, Crashed> {
        let bundle = relay.bundle(peer).and_then(|bundle| bundle.verify().ok());
        let Some(bundle) = bundle.filter(|bundle| bundle.address() == peer) else {
            return Ok(Err(AddError::NoAccount));
        };
        let key = *bundle.identity_key();
        let added = self.run(
            now,
            |client| client.add_session(&bundle),
            |tables, added| {
                tables.is_now(peer, &key);
                added.repair.iter().for_each(|question| tables.post(question));
                tables.asked_undecided += u64::from(!added.repair.is_empty() && tables.undecided.contains(peer));
            },
        )?;
        if added == Err(AddError::IdentityChanged) {
            // The user is asked; a real host writes this row as well.
            self.tables.ask_about(peer, &key);
        }
        Ok(added)
    }
}

impl Tables {
    fn arrived(&mut self, envelope: &Envelope, received: &Received) {
        match received {
            Received::Message(message) => self.received(envelope, message),
            Received::Framed(message) => self.received_frame(envelope, message),
            Received::Forked(message) => self.forked(message),
            Received::Unreadable(unreadable) => {
                self.unreadable.insert(unreadable.name);
                self.untrue += u64::from(!unreadable.known && self.known.contains_key(&unreadable.from));
            }
            Received::RepairRequest(request) => {
                if let Some(key) = request.identity.changed_key() {
                    self.ask_about(&request.from, key);
                    self.undecided.insert(request.from.clone());
                }
                self.meets(envelope, &request.identity);
                request.reply.iter().for_each(|reply| self.reply(reply));
            }
            Received::ResendDeclined(gone) => self.gone.extend(gone.names.iter().copied()),
            Received::Roster(_) | Received::HandedOver(_) | Received::Blocked(_) | Received::NotListed(_) => {}
        }
    }
}

fn answer(received: Result<&Received, &ReceiveError>) -> Answer {
    match received {
        Ok(Received::Unreadable(unreadable)) => Answer::Unreadable(unreadable.reason),
        Ok(Received::NotListed(_)) => Answer::Again(ReceiveError::NotListed),
        Ok(_) => Answer::Read,
        Err(error) => match error.disposition() {
            Disposition::Ack => Answer::Refused(error.clone()),
            Disposition::Later | Disposition::Retry => Answer::Again(error.clone()),
        },
    }
}
