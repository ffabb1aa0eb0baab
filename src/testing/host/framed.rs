//! Framed messages: what the host keeps of them, and what it can prove to the platform.

use alloc::format;
use alloc::string::String;

use super::proof::Proof;
use super::{Crashed, Draft, Host, Tables};
use crate::client::{Client, ForkedMessage, FramedMessage, FramedSent, OldRow, Outgoing, SendError};
use crate::ident::{Address, Timestamp};
use crate::platform::{ReportLimits, Reporter, StampKeys, Verdict, VerifyReportError, verify_report};
use crate::report::{AccountTag, Evidence, FramingPolicy, Part, ReportBuildError, ReportBuilder, Reveal};

impl Draft {
    /// The same as [`Self::plaintext`], as text: in its first 32 letters, the id.
    fn parts(&self) -> [Part; 1] {
        [Part::text(&format!("{:032x}{}", u128::from_be_bytes(self.id), String::from_utf8_lossy(&self.text)))]
    }
}

impl Host {
    /// Frames all that is written from now on, and shows nothing else where that is done; or frames nothing any more, and still
    /// reads what is.
    pub(in crate::testing) fn frame(&mut self, frames: bool) {
        (self.framing, self.frames) = (self.framing || frames, frames);
        self.client = self.dressed(&self.client);
    }

    /// A client as this host has it.
    pub(super) fn dressed(&self, client: &Client) -> Client {
        let client = client.with_session_cache(self.cached);
        if self.framing { client.with_framing(FramingPolicy::default()) } else { client }
    }

    pub(super) fn send_framed(&mut self, draft: &Draft, now: Timestamp) -> Result<Result<(), SendError>, Crashed> {
        let parts = draft.parts();
        let sent = self.run(
            now,
            |client| client.send_framed(draft.message_id, &draft.to, &parts),
            |tables, sent| tables.sent_framed(draft, &parts, sent),
        )?;
        Ok(sent.map(|_| ()))
    }

    /// Two workers that both send.
    pub(super) fn race_of_framers(&mut self, one: &Draft, other: &Draft, now: Timestamp) -> Result<(), Crashed> {
        let parts = one.parts();
        let staged = self.stage(self.client.send_framed(one.message_id, &one.to, &parts), now);
        self.send(other, now)?.ok();
        if let Ok(staged) = staged {
            // Whoever loses leaves its draft where it is.
            let _ = self.commit(staged.batch(), |tables| tables.sent_framed(one, &parts, staged.output()));
        }
        Ok(())
    }

    /// Keeps the stamp that the platform has given to a message of one's own.
    pub(in crate::testing) fn take_stamp(
        &mut self,
        outgoing: &Outgoing,
        stamp: &[u8],
        now: Timestamp,
    ) -> Result<(), Crashed> {
        let Some(commitment) = outgoing.envelope().commitment else { return Ok(()) };
        let Some(proof) = self.tables.proofs.get(&commitment).cloned() else { return Ok(()) };
        let stamped = self.run(
            now,
            |client| client.own_stamp(outgoing.to().user(), &proof.evidence, stamp),
            |tables, stamped| {
                if let (Ok(evidence), Some(proof)) = (stamped, tables.proofs.get_mut(&commitment)) {
                    proof.evidence = evidence.clone();
                }
            },
        )?;
        // A row that does not open is found, and mended, where a message needs it.
        debug_assert!(!matches!(stamped, Ok(Err(_))), "the platform's stamp is refused: {stamped:?}");
        Ok(())
    }

    /// The user says that what is shown in a conversation need not be framed.
    pub(in crate::testing) fn allow_unframed(&mut self, peer: &Address, now: Timestamp) -> Result<(), Crashed> {
        self.run(now, |client| client.set_framing(peer.user(), false), |_, ()| {}).map(|_| ())
    }

    /// Reports all that was said with a device, as far as it was stamped, and what the platform says to it; `None` if there is
    /// nothing.
    pub(in crate::testing) fn report(
        &self,
        peer: &Address,
        keys: &StampKeys,
    ) -> Option<Result<Verdict, VerifyReportError>> {
        let me = AccountTag::of(self.address.user());
        let mut report = ReportBuilder::new(me);
        for proof in self.tables.proofs.values().filter(|proof| proof.peer == *peer) {
            match report.add(&proof.evidence, &proof.parts, Reveal::All) {
                Ok(_) | Err(ReportBuildError::NotStamped) => {}
                Err(ReportBuildError::Full) => break,
                Err(_) => return Some(Err(VerifyReportError::Malformed)),
            }
        }
        let is_empty = report.is_empty();
        let limits = ReportLimits::default();
        (!is_empty).then(|| verify_report(keys, &Reporter::new(me), &report.build(), &limits))
    }
}

impl Tables {
    fn sent_framed(&mut self, draft: &Draft, parts: &[Part], framed: &FramedSent) {
        self.sent(draft, &framed.sent);
        if let Some(evidence) = &framed.evidence {
            self.inner.insert(draft.message_id, framed.inner.clone());
            self.proves(evidence, parts, &draft.to);
        }
        self.finds_old_row(framed.old_row);
    }

    pub(super) fn received_framed(&mut self, message: &FramedMessage) {
        self.proves(&message.accepted.evidence, &message.accepted.parts, &message.from);
        self.finds_old_row(message.old_row);
    }

    /// Somebody tells two stories: so it seems.
    pub(super) fn forked(&mut self, message: &ForkedMessage) {
        self.blamed.insert(message.from.clone());
        self.finds_old_row(message.old_row);
    }

    fn proves(&mut self, evidence: &Evidence, parts: &[Part], peer: &Address) {
        let proof = || Proof { evidence: evidence.clone(), parts: parts.to_vec(), peer: peer.clone() };
        self.proofs.entry(*evidence.commitment().as_bytes()).or_insert_with(proof);
    }

    fn finds_old_row(&mut self, old: Option<OldRow>) {
        self.old_rows += u64::from(old.is_some());
    }
}
