// What the examples in the documentation start from; included by them, out of sight.

use subrosa::{ident::*, prekey::*, session::*, suite::Suite};

type Rng = rand_core::UnwrapErr<getrandom::SysRng>;

fn setup(name: &str) -> (Device, SignedPrekey, KemPrekey, Timestamp, Rng) {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let (now, id) = (Timestamp::new(1_800_000_000_000), PrekeyId::new(1));
    let device = Device::generate(Address::new(UserId::new(name).unwrap(), DeviceId::new(1)), &mut rng);
    let signed = SignedPrekey::generate(&device, Suite::V1, id, now, &mut rng);
    let kem = KemPrekey::last_resort(&device, Suite::V1, id, now, &mut rng);
    (device, signed, kem, now, rng)
}

#[allow(dead_code)]
fn talking() -> (Session, Session, Timestamp, Rng) {
    let ((alice, ..), (bob, signed, kem, now, mut rng)) = (setup("alice"), setup("bob"));
    let bundle = bob.bundle(&signed, &kem, None).verify().unwrap();
    let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng).unwrap();
    let sent = to_bob.encrypt(b"Hello", now, &mut rng).unwrap();
    let (first, mut seen) = (FirstMessage::parse(sent.bytes()).unwrap(), SeenBaseKeys::default());
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    let (to_alice, _) = Session::accept(&bob, alice.address(), &first, &mut prekeys, now, &mut rng).unwrap();
    (to_bob, to_alice, now, rng)
}
