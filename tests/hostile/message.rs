//! Messages, written octet by octet, right ones and wrong ones.

/// Types and classes by number.
pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;

const HEADER_LEN: usize = 12;

/// A query as an upstream gets it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many came before it, of the same transport.
    pub(crate) nth: usize,
    /// Whether it came by TCP.
    pub(crate) by_tcp: bool,
    /// The whole message.
    pub(crate) packet: Vec<u8>,
}

/// A response to a query being written.
#[derive(Clone)]
pub(crate) struct Response {
    bytes: Vec<u8>,
    edns: bool,
}

// === impl Asked ===

impl Asked {
    /// Whether it has an OPT.
    pub(crate) fn has_opt(&self) -> bool {
        self.packet[11] == 1
    }

    /// The name in wire form, as it is spelled.
    pub(crate) fn name(&self) -> &[u8] {
        let mut end = HEADER_LEN;
        while self.packet[end] != 0 {
            end += 1 + usize::from(self.packet[end]);
        }
        &self.packet[HEADER_LEN..=end]
    }

    /// The name as text, in lower case.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.name();
        while let Some((len, tail)) = rest.split_first().filter(|(len, _)| **len != 0) {
            let (label, tail) = tail.split_at(usize::from(*len));
            text += &String::from_utf8_lossy(label).to_ascii_lowercase();
            text.push('.');
            rest = tail;
        }
        text.pop();
        text
    }

    /// Another name in the zone of this one.
    pub(crate) fn beside(&self, label: &str) -> Vec<u8> {
        let own = usize::from(self.name()[0]) + 1;
        [&[u8::try_from(label.len()).unwrap()], label.as_bytes(), &self.name()[own..]].concat()
    }

    /// A response without records.
    pub(crate) fn response(&self) -> Response {
        let question_end = HEADER_LEN + self.name().len() + 4;
        let mut bytes = self.packet[..question_end].to_vec();
        bytes[2] = 0x81;
        bytes[3] = 0x80;
        bytes[6..HEADER_LEN].fill(0);
        Response { bytes, edns: self.has_opt() }
    }

    /// A response with one address for the question, 192.0.2.`last`.
    pub(crate) fn right(&self, last: u8) -> Vec<u8> {
        self.response().answer(self.name(), A, 60, &[192, 0, 2, last]).end()
    }

    /// The same with the address that no client may ever see.
    pub(crate) fn wrong(&self) -> Response {
        self.response().answer(self.name(), A, 60, &[203, 0, 113, 66])
    }
}

// === impl Response ===

impl Response {
    pub(crate) fn rcode(mut self, rcode: u8) -> Self {
        self.bytes[3] |= rcode;
        self
    }

    pub(crate) fn truncated(mut self) -> Self {
        self.bytes[2] |= 2;
        self
    }

    pub(crate) fn answer(self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(7, owner, rtype, ttl, data)
    }

    pub(crate) fn authority(self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(9, owner, rtype, ttl, data)
    }

    pub(crate) fn additional(self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(11, owner, rtype, ttl, data)
    }

    /// The message, with an OPT if the query had one.
    pub(crate) fn end(self) -> Vec<u8> {
        self.end_with(&[])
    }

    /// The same with options in the OPT.
    pub(crate) fn end_with(mut self, options: &[u8]) -> Vec<u8> {
        if self.edns {
            let len = u16::try_from(options.len()).unwrap().to_be_bytes();
            self.bytes.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
            self.bytes.extend(len);
            self.bytes.extend(options);
            self.bytes[11] += 1;
        }
        self.bytes
    }

    fn record(mut self, count_at: usize, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Self {
        self.bytes.extend(owner);
        self.bytes.extend(rtype.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        self.bytes.extend(data);
        let (high, low) = (count_at - 1, count_at);
        let count = u16::from_be_bytes([self.bytes[high], self.bytes[low]]) + 1;
        self.bytes[high..=low].copy_from_slice(&count.to_be_bytes());
        self
    }
}
