//! The platform: passes envelopes on and stamps their commitments, stores objects that it cannot open, judges reports.

use std::collections::BTreeMap;

use subrosa::attachment::AttachmentRef;
use subrosa::ident::{Address, Timestamp, UserId};
use subrosa::platform::{
    ModerationKey, PrekeyStore, ReportLimits, Reporter, StampKeys, Verdict, VerifyReportError, stamp, verify_report,
};
use subrosa::prekey::{PrekeyUpload, UnverifiedBundle};
use subrosa::report::{AccountTag, Commitment, Destination, ModerationPublicKey, StampContext};
use subrosa::wire::Envelope;

use crate::{Result, Rng};

pub(crate) struct Platform {
    pub(crate) stamp_keys: StampKeys,
    pub(crate) kid: u32,
    clock: u64,
    moderation: ModerationKey,
    prekey_stores: BTreeMap<Address, PrekeyStore>,
    inboxes: BTreeMap<Address, Vec<Envelope>>,
    objects: BTreeMap<[u8; 32], Vec<u8>>,
    stamped: usize,
}

impl Platform {
    pub(crate) fn new(rng: &mut Rng) -> Result<Self> {
        let mut stamp_keys = StampKeys::default();
        stamp_keys.generate(23, rng)?;
        Ok(Self {
            stamp_keys,
            kid: 23,
            clock: 1_800_000_000_000,
            moderation: ModerationKey::generate(rng),
            prekey_stores: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            objects: BTreeMap::new(),
            stamped: 0,
        })
    }

    pub(crate) const fn now(&self) -> Timestamp {
        Timestamp::new(self.clock)
    }

    pub(crate) fn publish(&mut self, upload: &[u8]) -> Result<()> {
        let upload = PrekeyUpload::parse(upload)?;
        let address = &upload.address;
        let prekey_store = self
            .prekey_stores
            .entry(address.clone())
            .or_insert_with(|| PrekeyStore::new(address.clone(), upload.suite));
        prekey_store.apply(&upload)?;
        Ok(())
    }

    pub(crate) fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        self.prekey_stores.get_mut(address)?.claim()
    }

    /// A connection authenticated as `account` submits an envelope: its commitment is stamped, nothing else is looked
    /// at, and nothing is written down. The stamp goes to the recipient, and back.
    pub(crate) fn submit(&mut self, account: &UserId, mut envelope: Envelope) -> Result<Vec<u8>> {
        self.clock += 30_000;
        let commitment = Commitment::new(envelope.commitment.ok_or("not framed")?);
        let context = StampContext {
            sender: AccountTag::of(account),
            dest: Destination::Direct(AccountTag::of(envelope.to.user())),
            time: self.now(),
            conv_seq: 0,
        };
        let stamp = stamp(&self.stamp_keys, self.kid, &commitment, &context)?.to_bytes().to_vec();
        envelope.stamp = Some(stamp.clone());
        self.stamped += 1;
        self.inboxes.entry(envelope.to.clone()).or_default().push(envelope);
        Ok(stamp)
    }

    pub(crate) fn fetch(&mut self, address: &Address) -> Vec<Envelope> {
        self.inboxes.remove(address).unwrap_or_default()
    }

    /// Objects lie under names that their applications give them; here the root, which says nothing of the file.
    pub(crate) fn upload(&mut self, reference: &AttachmentRef, object: Vec<u8>) {
        self.objects.insert(*reference.root(), object);
    }

    pub(crate) fn object(&self, reference: &AttachmentRef) -> Option<&[u8]> {
        self.objects.get(reference.root()).map(Vec::as_slice)
    }

    pub(crate) fn what_it_knows(&self) -> String {
        let bytes: usize = self.objects.values().map(Vec::len).sum();
        format!(
            "The platform so far: {} commitments of 32 bytes, gone as they came; {} object of {bytes} bytes of noise.",
            self.stamped,
            self.objects.len(),
        )
    }

    pub(crate) fn moderators_key(&self) -> ModerationPublicKey {
        self.moderation.public()
    }

    pub(crate) fn open(&self, reporter: &UserId, sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(self.moderation.open(sealed, &AccountTag::of(reporter))?.to_vec())
    }

    pub(crate) fn judge(&self, reporter: &UserId, report: &[u8]) -> std::result::Result<Verdict, VerifyReportError> {
        verify_report(&self.stamp_keys, &Reporter::new(AccountTag::of(reporter)), report, &ReportLimits::default())
    }
}
