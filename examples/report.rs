//! A harasser, a victim, and a platform that carries their messages without reading them, until the victim reports.
//!
//! Sessions of level 1, a relay in memory. `cargo run --release --example report`.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use rand_core::UnwrapErr;
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::platform::{Limits, ModerationKey, ReportError, Reporter, StampKeys, Verdict, stamp, verify_report};
use subrosa::prekey::{Device, KemPrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use subrosa::report::{
    Accepted, AccountTag, ChainState, Commitment, Dest, Evidence, FramingPolicy, Part, PartKind, PartView, Peer,
    ReportBuilder, Reveal, Ruling, Side, Stamp, StampContext, Target, rule, seal_report,
};
use subrosa::session::{FirstMessage, Message, Session};
use subrosa::suite::Suite;
use subrosa::wire::{Envelope, EnvelopeKind, EnvelopeSuite};

type Rng = UnwrapErr<getrandom::SysRng>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a client stores of a message: what it says, and what proves it.
type Stored = (Evidence, Vec<Part>);

/// The server. It holds no message, and no key of anyone's.
struct Platform {
    stamp_keys: StampKeys,
    kid: u32,
    clock: u64,
    moderation: ModerationKey,
}

impl Platform {
    /// A connection authenticated as `account` submits an envelope: its commitment is stamped, nothing else is looked
    /// at, and nothing is written down.
    fn submit(&mut self, account: &UserId, mut envelope: Envelope) -> Result<Envelope> {
        self.clock += 30_000;
        let commitment = Commitment::new(envelope.commitment.ok_or("not framed")?);
        let context = StampContext {
            sender: AccountTag::of(account),
            dest: Dest::Direct(AccountTag::of(envelope.to.user())),
            time: Timestamp::new(self.clock),
            conv_seq: 0,
        };
        envelope.stamp = Some(stamp(&self.stamp_keys, self.kid, &commitment, &context)?.to_bytes().to_vec());
        Ok(envelope)
    }

    fn judge(&self, reporter: &UserId, report: &[u8]) -> std::result::Result<Verdict, ReportError> {
        verify_report(&self.stamp_keys, &Reporter::new(AccountTag::of(reporter)), report, &Limits::default())
    }
}

/// One device: a session with the peer's, and the state of both chains.
struct Client {
    address: Address,
    session: Session,
    chains: ChainState,
    stored: Vec<Stored>,
    rng: Rng,
}

impl Client {
    fn new(address: Address, session: Session, peer: &UserId) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let dest = Dest::Direct(AccountTag::of(peer));
        let chains = ChainState::new(AccountTag::of(address.user()), dest, &mut rng);
        Self { address, session, chains, stored: Vec::new(), rng }
    }

    /// Frames, encrypts bound to the commitment, submits; keeps the evidence of its own messages, too.
    fn send(&mut self, parts: &[Part], to: &Address, platform: &mut Platform) -> Result<Envelope> {
        let now = Timestamp::new(platform.clock);
        let framed = self.chains.seal(parts, now, &mut self.rng)?;
        let commitment = *framed.evidence.commitment();
        let sent = self.session.encrypt_bound(&framed.inner, &commitment.external_ad(), now, &mut self.rng)?;
        let envelope = Envelope {
            kind: if sent.is_first() { EnvelopeKind::First } else { EnvelopeKind::Message },
            suite: EnvelopeSuite::V1,
            from: Some(self.address.clone()),
            to: to.clone(),
            id: [0; 16],
            body: sent.into_bytes(),
            commitment: Some(*commitment.as_bytes()),
            stamp: None,
        };
        let stamped = platform.submit(self.address.user(), envelope)?;
        let evidence = self.chains.own_stamp(&framed.evidence, stamped.stamp.as_deref().unwrap_or_default())?;
        self.stored.push((evidence, parts.to_vec()));
        Ok(stamped)
    }

    /// Decrypts and accepts, both or none.
    fn receive(&mut self, envelope: &Envelope, now: Timestamp) -> Result<Accepted> {
        let commitment = Commitment::new(envelope.commitment.ok_or("not framed")?);
        let from = envelope.from.as_ref().ok_or("sealed")?;
        let before = self.session.clone();
        let message = Message::parse(&envelope.body)?.bound_to(&commitment.external_ad());
        let inner = self.session.decrypt(&message, now, &mut self.rng)?;
        let stamp = envelope.stamp.as_deref();
        let policy = FramingPolicy::default();
        let accepted = self.chains.accept(&Peer::of(from), &inner, &commitment, stamp, now, &policy);
        match accepted {
            Ok(accepted) => {
                self.stored.push((accepted.evidence.clone(), accepted.parts.clone()));
                Ok(accepted)
            }
            Err(error) => {
                self.session = before;
                Err(error.into())
            }
        }
    }
}

fn main() -> Result<()> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let (mallory, alice) = (UserId::new("mallory")?, UserId::new("alice")?);
    let mut platform = Platform {
        stamp_keys: StampKeys::default(),
        kid: 23,
        clock: 1_800_000_000_000,
        moderation: ModerationKey::generate(&mut rng),
    };
    platform.stamp_keys.generate(platform.kid, &mut rng)?;
    let [mut harasser, mut victim] = connect(&mallory, &alice, platform.clock, &mut rng)?;
    let [from, to] = [harasser.address.clone(), victim.address.clone()];

    // What happens, in private.
    let polite = victim.send(&[Part::text("Please stop writing to me.")], &from, &mut platform)?;
    harasser.receive(&polite, Timestamp::new(platform.clock))?;
    let threat = Part::text("I know where you live.");
    let picture = Part::new(PartKind::new(0x8000), png());
    let original = harasser.send(&[threat], &to, &mut platform)?;
    let target = Commitment::new(original.commitment.ok_or("framed")?);
    let edit = [Part::edit_of(&target), Part::text("I know a nice place where you live.")];
    let sent = [
        original,
        harasser.send(&edit, &to, &mut platform)?,
        harasser.send(&[picture, Part::text("See?")], &to, &mut platform)?,
        harasser.send(&[Part::delete_of(&target)], &to, &mut platform)?,
    ];
    for envelope in &sent {
        let accepted = victim.receive(envelope, Timestamp::new(platform.clock))?;
        let find = |wanted: &Commitment| {
            let (evidence, _) = victim.stored.iter().find(|(evidence, _)| evidence.commitment() == wanted)?;
            Some(Target { author: *evidence.header().sender(), deleted: false, policy: Default::default() })
        };
        let ruling = rule(&accepted.parts, accepted.evidence.header().sender(), find)?;
        let Ruling::Do(action) = ruling else { return Err("its target is here".into()) };
        println!(
            "Alice's phone: {action:?}, stamped, stored with {} bytes of evidence",
            accepted.evidence.to_bytes().len()
        );
    }
    println!(
        "The platform so far: {} commitments of 32 bytes, gone as they came; it stored nothing and read nothing.\n",
        sent.len() + 1
    );

    // Alice reports: all that Mallory sent, and of her own message only that there was one.
    let mut builder = ReportBuilder::new(AccountTag::of(&alice));
    builder.note("He deletes what he writes.")?;
    for (evidence, parts) in victim.stored.iter().skip(1) {
        builder.add(evidence, parts, Reveal::All)?;
    }
    builder.boundary(&victim.stored.first().ok_or("sent")?.0, Side::Before)?;
    let report = builder.build();
    let sealed = seal_report(&report, &AccountTag::of(&alice), &platform.moderation.public(), &mut rng)?;
    println!("Alice reports: {} bytes, sealed to the moderators {} bytes.\n", report.len(), sealed.len());
    let opened = platform.moderation.open(&sealed, &AccountTag::of(&alice))?;
    show(&platform.judge(&alice, &opened)?, &[("mallory", &mallory), ("alice", &alice)]);

    forgeries(&mut platform, &victim, &report, &alice, &mallory)
}

/// Five reports that lie, and what becomes of them.
fn forgeries(platform: &mut Platform, victim: &Client, report: &[u8], alice: &UserId, mallory: &UserId) -> Result<()> {
    println!("\nFive forged reports:");
    let refuse = |what: &str, verdict: std::result::Result<Verdict, ReportError>| match verdict {
        Err(ReportError::NothingVerified(rejected)) => {
            let reasons: std::collections::BTreeSet<String> =
                rejected.iter().map(|(_, reject)| reject.to_string()).collect();
            println!("  {what}: refused, {}", reasons.into_iter().collect::<Vec<_>>().join("; "));
            Ok(())
        }
        Ok(verdict) => {
            let reasons: Vec<_> = verdict.rejected.iter().map(|(at, reject)| format!("item {at} {reject}")).collect();
            println!(
                "  {what}: {} of {} believed; {}",
                verdict.messages.len(),
                verdict.messages.len() + verdict.rejected.len(),
                reasons.join("; ")
            );
            if verdict.rejected.is_empty() { Err(Box::<dyn Error>::from("a forgery was believed")) } else { Ok(()) }
        }
        Err(error) => {
            println!("  {what}: refused, {error}");
            Ok(())
        }
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let at = report.windows(from.len()).position(|window| window == from);
        let mut out = report.to_vec();
        if let Some(place) = at.and_then(|at| out.get_mut(at..at + to.len())) {
            place.copy_from_slice(to);
        }
        out
    };
    refuse(
        "one word of the threat exchanged",
        platform.judge(alice, &replaced(b"I know where you live.", b"I'll burn down a house")),
    )?;
    let (evidence, parts) = victim.stored.get(1).ok_or("received")?;
    let genuine = evidence.stamp().ok_or("stamped")?;
    let later = Stamp {
        context: StampContext { time: Timestamp::new(genuine.context.time.get() + 1), ..genuine.context },
        ..*genuine
    };
    refuse("another time on the stamp", platform.judge(alice, &replaced(&genuine.to_bytes(), &later.to_bytes())))?;
    let context = StampContext { sender: AccountTag::of(&UserId::new("accomplice")?), ..genuine.context };
    let accomplices = stamp(&platform.stamp_keys, platform.kid, evidence.commitment(), &context)?;
    refuse(
        "a friend submits the same ciphertext",
        platform.judge(alice, &replaced(&genuine.to_bytes(), &accomplices.to_bytes())),
    )?;
    refuse("the same report from somebody else's account", platform.judge(&UserId::new("eve")?, report))?;
    // Made up from nothing, on a platform that is not this one.
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut elsewhere = StampKeys::default();
    elsewhere.generate(platform.kid, &mut rng)?;
    let mut made_up = ChainState::new(AccountTag::of(mallory), Dest::Direct(AccountTag::of(alice)), &mut rng);
    let lie = made_up.seal(parts, Timestamp::new(platform.clock), &mut rng)?;
    let forged = stamp(&elsewhere, platform.kid, lie.evidence.commitment(), &genuine.context)?;
    let evidence = made_up.own_stamp(&lie.evidence, &forged.to_bytes())?;
    let mut builder = ReportBuilder::new(AccountTag::of(alice));
    builder.add(&evidence, parts, Reveal::All)?;
    refuse("a message that was never sent", platform.judge(alice, &builder.build()))
}

/// The verdict as a moderator reads it.
fn show(verdict: &Verdict, names: &[(&str, &UserId)]) {
    let name = |tag: &AccountTag| {
        names.iter().find(|(_, user)| AccountTag::of(user) == *tag).map_or("unknown", |(name, _)| *name)
    };
    println!(
        "Verdict: {} messages proven, {} not. Order: {:?}.",
        verdict.messages.len(),
        verdict.rejected.len(),
        verdict.order
    );
    println!("The reporter says (unproven): {}", verdict.note);
    for message in &verdict.messages {
        let at = message.platform_time.get() / 1000 % 86_400;
        print!("  {:02}:{:02}:{:02} {}: ", at / 3600, at / 60 % 60, at % 60, name(&message.sender));
        let shown: Vec<String> = message
            .open_parts()
            .map(|(_, part)| match part.view() {
                Ok(PartView::Text(text)) => format!("{text:?}"),
                Ok(PartView::App(_, bytes)) => format!("a picture, {} bytes, byte for byte as sent", bytes.len()),
                Ok(PartView::EditOf(target)) => format!("changes {target:?} to"),
                Ok(PartView::DeleteOf(target)) => format!("takes {target:?} back"),
                _ => "something".to_owned(),
            })
            .collect();
        println!(
            "{} [{:?}]",
            if shown.is_empty() { "(kept private)".to_owned() } else { shown.join(" ") },
            message.commitment
        );
    }
    for finding in &verdict.findings {
        let blame = finding.blames().map_or_else(|| "blames nobody".to_owned(), |tag| format!("blames {}", name(&tag)));
        println!("  note, {blame}: {finding:?}");
    }
}

/// A session between two new devices, used once both ways.
fn connect(a: &UserId, b: &UserId, now: u64, rng: &mut Rng) -> Result<[Client; 2]> {
    let (now, id) = (Timestamp::new(now), PrekeyId::new(1));
    let device = |user: &UserId, rng: &mut Rng| Device::generate(Address::new(user.clone(), DeviceId::new(1)), rng);
    let (ours, theirs) = (device(a, rng), device(b, rng));
    let signed = SignedPrekey::generate(&theirs, Suite::V1, id, now, rng);
    let kem = KemPrekey::last_resort(&theirs, Suite::V1, id, now, rng);
    let mut to_b = Session::initiate(&ours, &theirs.bundle(&signed, &kem, None).verify()?, now, rng)?;
    let hello = FirstMessage::parse(to_b.encrypt(b"", now, rng)?.bytes())?;
    let mut seen = SeenBaseKeys::default();
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    let (mut to_a, _) = Session::accept(&theirs, ours.address(), &hello, &mut prekeys, now, rng)?;
    to_b.decrypt(&Message::parse(to_a.encrypt(b"", now, rng)?.bytes())?, now, rng)?;
    Ok([Client::new(ours.address().clone(), to_b, b), Client::new(theirs.address().clone(), to_a, a)])
}

/// A valid picture of 8 by 8 pixels, red: signature, header, one stored block of pixels, end.
fn png() -> Vec<u8> {
    let mut crc_table = [0u32; 256];
    for (value, entry) in (0u32..).zip(&mut crc_table) {
        *entry = (0..8).fold(value, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 });
    }
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        let crc = body.iter().fold(u32::MAX, |crc, byte| {
            let index = usize::from(crc.to_le_bytes()[0] ^ byte);
            crc_table.get(index).copied().unwrap_or_default() ^ (crc >> 8)
        });
        let len = u32::try_from(data.len()).unwrap_or_default().to_be_bytes();
        [&len[..], &body, &(!crc).to_be_bytes()].concat()
    };
    let row = [&[0][..], &[200, 30, 30].repeat(8)].concat();
    let pixels = row.repeat(8);
    let (a, b) = pixels.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let len = u16::try_from(pixels.len()).unwrap_or_default();
    let zlib =
        [&[0x78, 0x01, 0x01][..], &len.to_le_bytes(), &(!len).to_le_bytes(), &pixels, &((b << 16) | a).to_be_bytes()]
            .concat();
    let header = [&8u32.to_be_bytes()[..], &8u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &chunk(b"IDAT", &zlib), &chunk(b"IEND", &[])].concat()
}
