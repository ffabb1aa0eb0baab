//! How the programs talk: one request a connection. Request and answer are byte strings, each behind its length.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// No byte string is longer, and no list has more: whoever connects cannot make anybody hold more than that.
const LONGEST: u32 = 1 << 20;
const MOST: u32 = 400;

pub(crate) fn write(stream: &mut TcpStream, strings: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut bytes = number(strings.len(), MOST)?.to_vec();
    for string in strings {
        bytes.extend_from_slice(&number(string.as_ref().len(), LONGEST)?);
        bytes.extend_from_slice(string.as_ref());
    }
    stream.write_all(&bytes)
}

pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Vec<Vec<u8>>> {
    let strings = (0..read_number(stream, MOST)?).map(|_| {
        let mut string = Vec::new();
        let length = u64::from(read_number(stream, LONGEST)?);
        stream.take(length).read_to_end(&mut string)?;
        if string.len() as u64 == length { Ok(string) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    });
    strings.collect()
}

fn number(number: usize, most: u32) -> io::Result<[u8; 4]> {
    let number = u32::try_from(number).ok().filter(|number| *number <= most);
    number.map(u32::to_be_bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn read_number(stream: &mut TcpStream, most: u32) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    number(u32::from_be_bytes(bytes) as usize, most)?;
    Ok(u32::from_be_bytes(bytes))
}
