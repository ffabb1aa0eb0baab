use alloc::sync::Arc;
use alloc::vec::Vec;

use super::fan_out::{Dispatch, Parcel};
use super::recipient::Recipient;
use super::send::MAX_LEN;
use super::sent::{SendError, Sent};
use crate::client::Client;
use crate::crypto::sha256;
use crate::ident::{MessageId, UserId};
use crate::report::{Evidence, OwnStampError, Part};
use crate::rows::{Core, Digest, OldRow, first};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::{FRAMED, Outward};

/// A framed message that was encrypted.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramedSent {
    /// What goes out.
    pub sent: Sent,
    /// One's own evidence, without a stamp: stored beside the message, in the same transaction. `None` if the message was
    /// sent before: then it was stored then.
    pub evidence: Option<Evidence>,
    /// If a row of this device's was found to be an older one.
    pub old_row: Option<OldRow>,
    /// What was sealed, for [`Client::resend`]: stored beside the message, and deleted with it. Empty if it was sent before.
    pub inner: Vec<u8>,
}

impl Client {
    /// Sends a message that its recipient can report: text, files, edits, reactions as [`Part`]s, committed to and
    /// linked to the messages before it.
    ///
    /// It is idempotent, as [`Client::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`], when it is staged.
    ///
    /// # Security
    ///
    /// The platform learns nothing before somebody reports, and then what the reporter reveals. The evidence holds the
    /// key to the commitment: it is kept like the message.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::{platform::{StampKeys, stamp}, report::{AccountTag, Commitment, Destination, FramingPolicy, Part, StampContext}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
    /// # let mut keys = StampKeys::default();
    /// # keys.generate(1, &mut rng)?;
    /// let parts = [Part::text("Hello, Bob")];
    /// let framed = alice
    ///     .send_framed(MessageId::new([1; 16]), bob.address(), &parts)
    ///     .run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// // The platform stamps the commitment, for the account that submits it:
    /// let mut envelope = framed.sent.outgoing().first().unwrap().envelope().clone();
    /// let commitment = Commitment::new(envelope.commitment.unwrap());
    /// let (sender, dest) = (AccountTag::of(alice.address().user()), AccountTag::of(bob.address().user()));
    /// let context = StampContext { sender, dest: Destination::Direct(dest), time: now, conv_seq: 0 };
    /// envelope.stamp = Some(stamp(&keys, 1, &commitment, &context)?.to_bytes().to_vec());
    /// // Bob shows nothing that he could not report.
    /// let bob = bob.with_framing(FramingPolicy::default());
    /// let received = bob.receive(&envelope).run(&bob_db, now, &mut rng, |_, _| Ok(()))?;
    /// let Received::Framed(message) = received else { panic!() };
    /// assert_eq!(message.accepted.parts, parts);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_framed(
        &self,
        message_id: MessageId,
        to: impl Into<Recipient>,
        parts: &[Part],
    ) -> Operation<FramedSent, SendError> {
        let (core, to) = (self.core.clone(), to.into());
        let (asked, dispatch) = (to.asked(), Dispatch::new(&core, message_id, &to));
        let (parts, digest) = (parts.to_vec(), digest(parts));
        let operation = Operation::new("send_framed", move |work| {
            core.send_framed(work, &dispatch, digest.ok_or(SendError::TooLong)?, &parts)
        });
        operation.asked(&[message_id.as_bytes(), &asked])
    }

    /// Takes the stamp that the platform gave to a message of one's own, and gives the evidence with it, to replace the
    /// one that is stored.
    ///
    /// # Errors
    ///
    /// [`OwnStampError`] inside if the stamp is not one of this message; [`StoredError`] when a record does not open.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::{platform::{StampKeys, stamp}, report::{AccountTag, Destination, Part, StampContext}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// # let mut keys = StampKeys::default();
    /// # keys.generate(1, &mut rng)?;
    /// # let framed = alice.send_framed(MessageId::new([1; 16]), bob.address(), &[Part::text("hi")]);
    /// # let framed = framed.run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # let (sender, dest) = (AccountTag::of(alice.address().user()), AccountTag::of(bob.address().user()));
    /// # let context = StampContext { sender, dest: Destination::Direct(dest), time: now, conv_seq: 0 };
    /// let evidence = framed.evidence.unwrap();
    /// # let stamp = stamp(&keys, 1, evidence.commitment(), &context)?.to_bytes();
    /// let stamped = alice
    ///     .own_stamp(bob.address().user(), &evidence, &stamp)
    ///     .run(&db, now, &mut rng, |_, _| Ok(()))??;
    /// assert!(stamped.stamp().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn own_stamp(
        &self,
        user: &UserId,
        evidence: &Evidence,
        stamp: &[u8],
    ) -> Operation<Result<Evidence, OwnStampError>, StoredError> {
        let (core, user, evidence, stamp) = (self.core.clone(), user.clone(), evidence.clone(), stamp.to_vec());
        Operation::new("own_stamp", move |work| core.stamp_own(work, &user, &evidence, &stamp))
    }

    /// Says whether what is shown in the conversation with a user is framed. It is, without being said, from the first framed
    /// message on that is sent or received; then [`FramingPolicy::unframed`](crate::report::FramingPolicy::unframed) says what
    /// becomes of content without a frame.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Security
    ///
    /// Without it, whoever writes first chooses: say it when a conversation begins in which all that is shown is to be
    /// reportable.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::report::FramingPolicy;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db, bob, bob_db: db, now, mut rng, .. } = talking();
    /// let bob = bob.with_framing(FramingPolicy::default());
    /// bob.set_framing(alice.address().user(), true).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # let send = alice.send(MessageId::new([1; 16]), bob.address(), b"hi");
    /// # let sent = send.run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// let plain = Envelope::parse(&sent.outgoing().first().unwrap().bytes())?;
    /// match bob.receive(&plain).stage(&db, now, &mut rng) {
    ///     Err(StageError::Operation(error)) => assert_eq!(error.disposition(), Disposition::Later),
    ///     Ok(_) => panic!("shown, and not reportable"),
    /// #   Err(_) => panic!(),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_framing(&self, user: &UserId, framed: bool) -> Operation<(), StoredError> {
        let (core, user) = (self.core.clone(), user.clone());
        Operation::new("set_framing", move |work| core.set_framed(work, &user, framed))
    }

    /// Whether what is shown in the conversation with a user is framed, as [`Self::set_framing`] has said, or a framed message;
    /// `None` if neither has.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// # let user = bob.address().user();
    /// alice.set_framing(user, true).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(alice.framing(user).run(&db, now, &mut rng, |_, _| Ok(()))?, Some(true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn framing(&self, user: &UserId) -> Operation<Option<bool>, StoredError> {
        let (core, user) = (self.core.clone(), user.clone());
        Operation::new("framing", move |work| core.framing(work, &user))
    }
}

impl Core {
    fn send_framed(
        &self,
        work: &mut Workspace<'_>,
        dispatch: &Dispatch,
        digest: [u8; 32],
        parts: &[Part],
    ) -> Result<FramedSent, Stop<SendError>> {
        work.announce([self.chains_key(dispatch.user())]);
        let parts_digest = first(&digest);
        let is_same = |entered: &Digest| entered.number == FRAMED && entered.parts == parts_digest;
        let (sent, framed) = self.fan_out(work, dispatch, &is_same, |work, peer| {
            let mut chains = self.load_chains(work, peer).map_err(|stop| stop.map(SendError::from))?;
            let sealed = chains.state.seal(parts, work.now, &mut work.rng).map_err(SendError::from)?;
            let commitment = *sealed.evidence.commitment();
            let message = Arc::new(Outward::framed(&sealed.inner));
            let old_row = chains.old;
            chains.sent();
            self.save_chains(work, peer, chains);
            let digest = Digest { content: first(message.digest()), parts: parts_digest, number: FRAMED };
            Ok((Parcel { message, commitment: Some(commitment), digest }, Some((sealed, old_row))))
        })?;
        let (sealed, old_row) = framed.unzip();
        let (evidence, inner) = sealed.map(|sealed| (sealed.evidence, sealed.inner)).unzip();
        Ok(FramedSent { sent, evidence, old_row: old_row.flatten(), inner: inner.unwrap_or_default() })
    }
}

/// What a message of these parts is known by, if it is not too long.
fn digest(parts: &[Part]) -> Option<[u8; 32]> {
    let head = |part: &Part| {
        let [a, b] = part.kind().get().to_be_bytes();
        let [c, d, e, f, g, h, i, j] = u64::try_from(part.body().len()).unwrap_or(u64::MAX).to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    };
    let len = parts.iter().fold(6, |len: usize, part| len.saturating_add(10).saturating_add(part.body().len()));
    let heads: Vec<_> = parts.iter().map(head).collect();
    let pieces = heads.iter().zip(parts).flat_map(|(head, part)| [&head[..], part.body()]);
    let pieces: Vec<&[u8]> = core::iter::once(&b"framed"[..]).chain(pieces).collect();
    (len <= MAX_LEN).then(|| sha256(&pieces))
}

impl core::fmt::Debug for FramedSent {
    // What people write does not belong in logs, nor does what opens a commitment.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FramedSent").field("sent", &self.sent).finish_non_exhaustive()
    }
}
