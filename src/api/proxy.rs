//! Whose address a request has, when a proxy stands before the server (`--behind-proxy CIDR`).

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::web::Data;

use crate::error::{Error, Kind, Result};

/// The network that proxies connect from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Result<Network> {
        let refused = || Error::new(Kind::Usage, format!("--behind-proxy {text} is no network; write one as 10.0.0.0/8 or 192.0.2.7"));
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| refused())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| refused()))?;
        if bits > most { Err(refused()) } else { Ok(Network { base, bits }) }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => (base.to_bits() ^ address.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0,
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0,
            _ => false,
        }
    }
}

/// The client's address: the peer's, or what a trusted proxy appended last to `X-Forwarded-For`.
/// Elements before the last were written by whoever sent the request, so they are not believed.
pub fn client(http: &HttpRequest) -> String {
    let Some(peer) = http.peer_addr().map(|peer| peer.ip().to_canonical()) else { return "unknown".to_owned() };
    let trusted = http.app_data::<Data<Option<Network>>>().and_then(|network| ***network).is_some_and(|network| network.contains(peer));
    let forwarded = http.headers().get_all("x-forwarded-for").last().filter(|_| trusted);
    forwarded.and_then(|value| last(value.to_str().ok()?)).unwrap_or(peer).to_string()
}

/// The last element of the header as an address; some proxies append a port.
fn last(header: &str) -> Option<IpAddr> {
    let element = header.rsplit(',').next()?.trim();
    let bare = element.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(element);
    bare.parse().or_else(|_| element.parse().map(|socket: std::net::SocketAddr| socket.ip())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_its_own() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.1.2.3/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(contains("fd00::/8", "fd12::1"));
        assert!(!contains("fd00::/8", "10.0.0.1"));
        assert!(contains("::/0", "2001:db8::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "example.org", "fd00::/129"] {
            assert_eq!(Network::parse(bad).err().map(|e| e.kind), Some(Kind::Usage), "{bad}");
        }
    }

    #[test]
    fn only_the_last_element_counts() {
        assert_eq!(last("198.51.100.1, 203.0.113.9"), Some("203.0.113.9".parse().unwrap()));
        assert_eq!(last("203.0.113.9:4711"), Some("203.0.113.9".parse().unwrap()));
        assert_eq!(last("[2001:db8::1]:443"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(last("2001:db8::1"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(last("unknown"), None);
    }
}
