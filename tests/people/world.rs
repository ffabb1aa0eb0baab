//! A directory, mail boxes, and devices that do what they are told to do.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use subrosa::account::{CarriedRoster, HeldRoster, LinkOffer};
use subrosa::client::*;
use subrosa::ident::{Address, DeviceId, MessageId, RegistrationId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::platform::{check_roster, check_succession};
use subrosa::prekey::{Bundle, Device as Keys, PrekeyUpload};
use subrosa::staging::{Row, Staged, Step};
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

pub(crate) const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
pub(crate) const DAY: u64 = 24 * 3_600_000;

pub(crate) type Rows = BTreeMap<RecordKey, Row>;

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// A text that a device has shown, and what it thought of the user.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) from: Address,
    pub(crate) text: Vec<u8>,
    pub(crate) id: Option<MessageId>,
    pub(crate) user: UserStatus,
}

pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) rows: Rows,
    /// What whoever breaks into the device finds.
    pub(crate) keys: Option<Keys>,
    pub(crate) shown: Vec<Shown>,
    /// What came of each envelope, the newest last.
    pub(crate) outcomes: Vec<Result<Received, ReceiveError>>,
    /// How the user of each roster that was fetched stood then.
    pub(crate) told: Vec<(UserId, UserStatus)>,
    pub(crate) wiped: bool,
    drafts: Vec<(MessageId, Recipient, Vec<u8>)>,
    /// What it has written, to be sent again to who could not read it.
    written: BTreeMap<MessageId, Vec<u8>>,
    /// The most rounds that an operation took.
    pub(crate) rounds: usize,
}

/// What the server is.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) rosters: BTreeMap<UserId, (HeldRoster, Vec<u8>)>,
    pub(crate) prekeys: BTreeMap<Address, (PrekeyUpload, usize)>,
    pub(crate) mail: BTreeMap<Address, Vec<Envelope>>,
    /// Whether it says anything of rosters.
    pub(crate) withholds: bool,
}

pub(crate) struct World {
    pub(crate) devices: Vec<Device>,
    pub(crate) server: Server,
    pub(crate) now: Timestamp,
    pub(crate) rng: ChaCha20Rng,
    drawn: u128,
}

impl Server {
    pub(crate) fn head(&self, user: &UserId) -> Option<CarriedRoster> {
        if self.withholds {
            return None;
        }
        self.rosters.get(user).map(|(_, bytes)| CarriedRoster::parse(bytes).unwrap())
    }

    /// Takes a roster if its own is older.
    pub(crate) fn publish(&mut self, user: &UserId, upload: &[u8], now: Timestamp) -> bool {
        let new = CarriedRoster::parse(upload).unwrap();
        let taken = match self.rosters.get(user) {
            Some((old, _)) if old.account_key() != new.roster().account_key() => {
                check_succession(old, upload, user, now)
            }
            old => check_roster(old.map(|(old, _)| old), new.roster().as_bytes(), user, now),
        };
        let Ok(held) = taken else { return false };
        self.rosters.insert(user.clone(), (held, upload.to_vec()));
        true
    }

    pub(crate) fn bundle(&mut self, address: &Address) -> Option<Bundle> {
        let (upload, given) = self.prekeys.get_mut(address)?;
        *given += 1;
        upload.bundle(upload.one_time.get(*given), upload.one_time_kem.get(*given)).verify().ok()
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        Self { devices: Vec::new(), server: Server::default(), now: NOW, rng, drawn: 0 }
    }

    /// Somebody with one device, whose roster and prekeys are published.
    pub(crate) fn person(&mut self, name: &str) -> usize {
        let at = self.newcomer(name);
        self.attend(at);
        at
    }

    /// The same, with nothing published.
    pub(crate) fn newcomer(&mut self, name: &str) -> usize {
        let address = Address::new(user(name), DeviceId::new(1));
        let keys = Keys::generate(address, &mut self.rng);
        let adopt = Client::adopt(&StorageKey::new([7; 32]), &keys);
        let at = self.device(|world, rows| run(adopt, rows, world.now, &mut world.rng).0.unwrap().client);
        self.devices[at].keys = Some(keys);
        at
    }

    pub(crate) fn device(&mut self, make: impl FnOnce(&mut Self, &mut Rows) -> Client) -> usize {
        let mut rows = Rows::new();
        let client = make(self, &mut rows);
        self.devices.push(Device {
            client,
            rows,
            keys: None,
            shown: Vec::new(),
            outcomes: Vec::new(),
            told: Vec::new(),
            wiped: false,
            drafts: Vec::new(),
            written: BTreeMap::new(),
            rounds: 0,
        });
        self.devices.len() - 1
    }

    pub(crate) fn address(&self, at: usize) -> Address {
        self.devices[at].client.address().clone()
    }

    /// What waits for a device.
    pub(crate) fn mail(&self, at: usize) -> &[Envelope] {
        self.server.mail.get(&self.address(at)).map_or(&[], Vec::as_slice)
    }

    /// Which device has this address.
    pub(crate) fn at(&self, address: &Address) -> usize {
        self.devices.iter().position(|device| device.client.address() == address).unwrap()
    }

    pub(crate) fn run<T, E: core::fmt::Debug>(&mut self, at: usize, operation: Operation<T, E>) -> Result<T, E> {
        let device = &mut self.devices[at];
        let (outcome, rounds) = run(operation, &mut device.rows, self.now, &mut self.rng);
        device.rounds = device.rounds.max(rounds);
        outcome
    }

    /// Runs an operation up to what is to be committed.
    pub(crate) fn stage<T, E>(&mut self, at: usize, mut operation: Operation<T, E>) -> Result<Staged<T>, E> {
        loop {
            match operation.step(self.now, &mut self.rng)? {
                Step::Need(keys) => {
                    let rows = &self.devices[at].rows;
                    operation.supply(keys.iter().map(|key| rows.get(key).cloned()).collect());
                }
                Step::Ready(staged) => return Ok(staged),
            }
        }
    }

    /// The database of a device in somebody else's hands.
    pub(crate) fn copy(&mut self, at: usize) -> usize {
        let (client, rows) = (self.devices[at].client.clone(), self.devices[at].rows.clone());
        self.device(|_, taken| {
            *taken = rows;
            client
        })
    }

    /// A device is removed by the primary, and that is published.
    pub(crate) fn remove(&mut self, primary: usize, gone: usize) {
        let id = self.address(gone).device();
        self.run(primary, self.devices[primary].client.remove_device(id)).unwrap();
        self.attend(primary);
    }

    pub(crate) fn later(&mut self, days: u64) {
        self.now = Timestamp::new(self.now.get() + days * DAY);
    }

    /// Does what the library says is to be done, until there is nothing more that can be.
    pub(crate) fn attend(&mut self, at: usize) {
        for _ in 0..6 {
            let before = self.devices[at].rows.clone();
            for task in self.run(at, self.devices[at].client.todo()).unwrap() {
                self.work_off(at, task);
            }
            self.send_drafts(at);
            if self.devices[at].rows == before || self.devices[at].wiped {
                return;
            }
        }
    }

    fn work_off(&mut self, at: usize, task: Task) {
        let client = self.devices[at].client.clone();
        match task {
            Task::FetchBundle(address) => {
                if let Some(bundle) = self.server.bundle(&address) {
                    let added = self.run(at, client.add_session(&bundle));
                    // Of a device that is not the user's any more nothing is wanted.
                    if added == Err(AddError::NotListed) {
                        self.run(at, client.withdraw_wish(&address)).unwrap();
                    }
                    let repair = added.map(|added| added.repair).unwrap_or_default();
                    self.post(repair.iter());
                }
            }
            Task::FetchRoster(user) => self.fetch(at, &user),
            Task::Resend { address, message_id } => {
                let text = self.devices[at].written.get(&message_id).cloned();
                let answer = self.run(at, client.answer(message_id, &address, text.as_deref()));
                self.post(answer.iter().flatten());
            }
            Task::PublishPrekeys => self.publish_prekeys(at),
            Task::PublishRoster => {
                let own = self.run(at, client.own_roster()).unwrap();
                let (user, pending) = (client.address().user(), own.pending.as_ref().unwrap().version());
                if self.server.publish(user, &own.upload().unwrap(), self.now) {
                    self.run(at, client.roster_published(pending)).unwrap();
                } else if let Some(head) = self.server.head(user) {
                    self.run(at, client.update_own_roster(&head)).ok();
                }
            }
            Task::Wipe => {
                self.run(at, client.wipe()).unwrap();
                self.devices[at].wiped = true;
            }
            Task::Maintain => drop(self.run(at, client.maintain()).unwrap()),
        }
    }

    pub(crate) fn publish_prekeys(&mut self, at: usize) {
        let client = self.devices[at].client.clone();
        for upload in self.run(at, client.publish_prekeys(PrekeyCounts::default())).unwrap() {
            let id = upload.id;
            self.server.prekeys.insert(client.address().clone(), (upload, 0));
            self.run(at, client.published(id)).unwrap();
        }
    }

    /// A device with a renewed account.
    pub(crate) fn renewed(&mut self, renew: Operation<Opened, RenewError>) -> usize {
        self.device(|world, rows| run(renew, rows, world.now, &mut world.rng).0.unwrap().client)
    }

    /// Asks the directory about a user.
    pub(crate) fn fetch(&mut self, at: usize, name: &UserId) {
        if self.server.withholds {
            return;
        }
        let (head, client) = (self.server.head(name), self.devices[at].client.clone());
        if let Ok(added) = self.run(at, client.add_user(name, head.as_ref(), &[])) {
            self.devices[at].told.push((name.clone(), added.status));
        }
    }

    pub(crate) fn id(&mut self) -> MessageId {
        self.drawn += 1;
        MessageId::new(self.drawn.to_be_bytes())
    }

    /// Writes to somebody; what cannot go out yet goes when it can.
    pub(crate) fn write(&mut self, at: usize, to: impl Into<Recipient>, text: &[u8]) -> MessageId {
        let id = self.id();
        self.devices[at].written.insert(id, text.to_vec());
        self.devices[at].drafts.push((id, to.into(), text.to_vec()));
        self.attend(at);
        id
    }

    /// Sends once, and posts nothing.
    pub(crate) fn try_send(&mut self, at: usize, to: impl Into<Recipient>, text: &[u8]) -> Result<Sent, SendError> {
        let id = self.id();
        self.devices[at].written.insert(id, text.to_vec());
        self.run(at, self.devices[at].client.send(id, to, text))
    }

    fn send_drafts(&mut self, at: usize) {
        for (id, to, text) in core::mem::take(&mut self.devices[at].drafts) {
            let sent = self.run(at, self.devices[at].client.send(id, &to, &text));
            let done = sent.as_ref().is_ok_and(|sent| !sent.roster_wanted && sent.missing.is_empty());
            self.post(sent.iter().flat_map(Sent::outgoing));
            if !done {
                self.devices[at].drafts.push((id, to, text));
            }
        }
    }

    pub(crate) fn post<'a>(&mut self, outgoing: impl Iterator<Item = &'a Outgoing>) {
        for outgoing in outgoing {
            self.server.mail.entry(outgoing.to().clone()).or_default().push(outgoing.envelope().clone());
        }
    }

    /// Receives what waits, in order; what is to come again stays.
    pub(crate) fn receive(&mut self, at: usize) {
        let address = self.address(at);
        for envelope in self.server.mail.remove(&address).unwrap_or_default() {
            let received = self.run(at, self.devices[at].client.receive(&envelope));
            let disposition = received.as_ref().map_or_else(ReceiveError::disposition, Received::disposition);
            if disposition == Disposition::Later {
                self.server.mail.entry(address.clone()).or_default().push(envelope);
            }
            if let Ok(Received::Message(message)) = &received {
                self.devices[at].shown.push(Shown {
                    from: message.sender().clone(),
                    text: message.plaintext().unwrap_or_default().to_vec(),
                    id: message.message_id(),
                    user: message.user().clone(),
                });
            }
            if let Ok(Received::RepairRequest(request)) = &received {
                self.post(request.reply.iter());
            }
            self.devices[at].outcomes.push(received);
        }
    }

    /// Everybody receives and does what is to be done, a few times over.
    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            for at in 0..self.devices.len() {
                if !self.devices[at].wiped {
                    self.receive(at);
                    self.attend(at);
                }
            }
        }
    }

    pub(crate) fn texts(&self, at: usize) -> Vec<String> {
        self.devices[at].shown.iter().map(|shown| String::from_utf8(shown.text.clone()).unwrap()).collect()
    }

    /// Links a new device to the account of another one. It is not published yet.
    pub(crate) fn begin_link(&mut self, primary: usize) -> usize {
        let mut offer = LinkOffer::new(self.now, &mut self.rng);
        let client = self.devices[primary].client.clone();
        let answered = self.run(primary, client.answer_link(&offer.qr())).unwrap();
        let provisioned = offer.open(&answered.message, self.now).unwrap();
        let digits = provisioned.digits().as_str().to_owned();
        let create = Client::create_linked(&StorageKey::new([8; 32]), &provisioned, Suites::V1);
        let mut consent = Vec::new();
        let linked = self.device(|world, rows| {
            let linked = run(create, rows, world.now, &mut world.rng).0.unwrap();
            consent = linked.consent;
            linked.opened.client
        });
        let device = self.run(primary, client.complete_link(&consent, &digits)).unwrap().unwrap();
        assert_eq!(device, answered.device);
        let (address, identity) = (self.address(linked), provisioned.identity().clone());
        self.devices[linked].keys = Some(Keys::new(address, identity, RegistrationId::new(1)));
        linked
    }

    /// The same, published.
    pub(crate) fn link(&mut self, primary: usize) -> usize {
        let linked = self.begin_link(primary);
        self.attend(primary);
        self.attend(linked);
        linked
    }

    /// Alice with a phone, Bob with a phone and a laptop, who have written to each other.
    pub(crate) fn talking(seed: u64) -> (Self, [usize; 3]) {
        let mut world = Self::new(seed);
        let (alice, bob) = (world.person("alice"), world.person("bob"));
        let laptop = world.link(bob);
        world.write(alice, &user("bob"), b"Hello, Bob");
        world.settle();
        world.write(bob, &user("alice"), b"Hello, Alice");
        world.settle();
        world.write(laptop, &user("alice"), b"And from here");
        world.settle();
        assert_eq!(world.texts(bob), ["Hello, Bob"]);
        assert_eq!(world.texts(laptop), ["Hello, Bob"]);
        assert_eq!(world.texts(alice), ["Hello, Alice", "And from here"]);
        (world, [alice, bob, laptop])
    }
}

/// Runs an operation; says in how many rounds.
pub(crate) fn run<T, E>(
    mut operation: Operation<T, E>,
    rows: &mut Rows,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
) -> (Result<T, E>, usize) {
    let mut rounds = 0;
    loop {
        match operation.step(now, rng) {
            Err(error) => return (Err(error), rounds),
            Ok(Step::Need(keys)) => {
                rounds += 1;
                operation.supply(keys.iter().map(|key| rows.get(key).cloned()).collect());
            }
            Ok(Step::Ready(staged)) => {
                staged.batch().apply_to(rows).unwrap();
                return (Ok(staged.committed()), rounds);
            }
        }
    }
}
