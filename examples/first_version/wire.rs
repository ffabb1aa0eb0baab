//! How the programs talk: one request a connection. Request and answer are byte strings, each behind its length; in the place
//! of an answer there may be the reason why there is none.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// No byte string is longer, and no list has more: whoever connects cannot make anybody hold more than that.
const LONGEST: u32 = 1 << 20;
const MOST: u32 = 400;
/// In the place of how many there are: one follows, which says why.
const REFUSED: u32 = u32::MAX;

pub(crate) fn write(stream: &mut TcpStream, strings: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut bytes = number(strings.len(), MOST)?.to_vec();
    for string in strings {
        put(&mut bytes, string.as_ref())?;
    }
    stream.write_all(&bytes)
}

pub(crate) fn refuse(stream: &mut TcpStream, why: &str) -> io::Result<()> {
    let mut bytes = REFUSED.to_be_bytes().to_vec();
    put(&mut bytes, why.as_bytes())?;
    stream.write_all(&bytes)
}

fn put(bytes: &mut Vec<u8>, string: &[u8]) -> io::Result<()> {
    bytes.extend_from_slice(&number(string.len(), LONGEST)?);
    bytes.extend_from_slice(string);
    Ok(())
}

pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Vec<Vec<u8>>> {
    match read_number(stream)? {
        REFUSED => Err(io::Error::other(String::from_utf8_lossy(&take(stream)?).into_owned())),
        count if count <= MOST => (0..count).map(|_| take(stream)).collect(),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn take(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = read_number(stream)?;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut string = Vec::new();
    stream.take(length.into()).read_to_end(&mut string)?;
    if string.len() as u64 == u64::from(length) { Ok(string) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn number(number: usize, most: u32) -> io::Result<[u8; 4]> {
    let number = u32::try_from(number).ok().filter(|number| *number <= most);
    number.map(u32::to_be_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn read_number(stream: &mut TcpStream) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}
