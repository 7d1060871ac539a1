//! The addresses that clients register: where a browser is sent back to, where their keys are, what else they show. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Kind, Result};

const LONGEST: usize = 2_048;

/// Scheme and host of an absolute URL that has both, in lower case; None of what is no URL, names a user, or holds what an
/// address may not (RFC 3986 section 2).
fn parts(uri: &str) -> Option<(String, String)> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
    if uri.len() > LONGEST || !uri.bytes().all(fine) {
        return None;
    }
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next().filter(|authority| !authority.is_empty() && !authority.contains('@'))?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| (scheme.to_ascii_lowercase(), host.to_ascii_lowercase()))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A private-use scheme (RFC 8252 section 7.1): a name of its owner's, so it holds a dot.
fn is_private_use(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=%".contains(&b);
    let named =
        scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) && scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    named && scheme.contains('.') && !rest.is_empty() && uri.len() <= LONGEST && rest.bytes().all(fine)
}

/// `redirect_uri`: https, http on a loopback address, or a private-use scheme; without fragment (RFC 6749 section 3.1.2).
pub fn redirect(uri: &str) -> Result<()> {
    let fits = match parts(uri) {
        Some((scheme, host)) => scheme == "https" || (scheme == "http" && is_loopback(&host)) || is_private_use(uri),
        None => is_private_use(uri),
    };
    let authority = uri.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('*') {
        let says = "a redirect URI is compared letter for letter, and a * in its host stands for nothing else; register each address";
        return Err(Error::new(Kind::RedirectRefused, says).at("redirect_uris"));
    }
    let says = "a redirect URI is an https URL, an http URL on a loopback address, or of a private-use scheme, and has no fragment";
    if fits { Ok(()) } else { Err(Error::new(Kind::RedirectRefused, says).at("redirect_uris")) }
}

/// What is shown to people: https, or http on a loopback address.
pub fn page(name: &'static str, uri: &str) -> Result<()> {
    match parts(uri) {
        Some((scheme, host)) if scheme == "https" || (scheme == "http" && is_loopback(&host)) => Ok(()),
        _ => Err(Error::new(Kind::MetadataRefused, "it is no https URL").at(name)),
    }
}

/// An origin of a browser (RFC 6454 section 6.2): scheme, host and port, letter for letter as a browser sends it.
pub fn origin(text: &str) -> Result<()> {
    let plain = text.bytes().all(|b| !b.is_ascii_uppercase()) && text.splitn(4, '/').count() == 3;
    match parts(text) {
        Some((scheme, host)) if plain && !text.contains('?') && (scheme == "https" || (scheme == "http" && is_loopback(&host))) => Ok(()),
        _ => {
            Err(Error::new(Kind::MetadataRefused, "an origin is https://HOST or https://HOST:PORT; http on a loopback address")
                .at("origin"))
        }
    }
}

/// `jwks_uri`: https at a public address. `private`: an operator allows this machine and private networks, too, and http on
/// a loopback address.
pub fn key_set(uri: &str, private: bool) -> Result<()> {
    let refused = |says: &str| Err(Error::new(Kind::MetadataRefused, says).at("jwks_uri"));
    let Some((scheme, host)) = parts(uri) else { return refused("it is no absolute URL without user and fragment") };
    match scheme.as_str() {
        "https" => {}
        "http" if private && is_loopback(&host) => {}
        _ => return refused("it is no https URL"),
    }
    let local = host == "localhost" || host.parse().is_ok_and(|address| !is_public(address));
    if local && !private {
        return refused("it is in a private network; an operator registers it with --private-jwks-uri");
    }
    Ok(())
}

/// Not of this machine, of a private network or of a special use (the IANA registries of special-purpose addresses).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation() || v4.is_multicast();
    let reserved = a == 0 || a >= 240 || (a, b & 0xc0) == (100, 64) || (a, b, c) == (192, 0, 0) || (a, b & 0xfe) == (198, 18);
    !special && !reserved
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    if let Some(v4) = v6.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let segments = v6.segments();
    // What leads to an address of version 4, by translation or by 6to4.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(Ipv4Addr::from_bits((u32::from(segments[6]) << 16) | u32::from(segments[7])));
    }
    let special = (segments[0], segments[1]) == (0x2001, 0x0db8) || (segments[0] == 0x2001 && segments[1] < 0x200) || segments[0] == 0x2002;
    // Global unicast; all else is local, multicast or nothing.
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_asked() {
        for local in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.9.9",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.19.0.1",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
        ] {
            assert!(!is_public(local.parse().unwrap()), "{local}");
        }
        for public in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn addresses_that_may_be_registered() {
        for good in ["https://app.example/jwks", "https://app.example:8443/a?b=c", "https://1.1.1.1/jwks"] {
            assert!(key_set(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/jwks",
            "ftp://app.example/",
            "https:///jwks",
            "app.example",
            "https://a@app.example/",
            "https://app.example/#x",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "http://127.0.0.1/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(key_set(bad, false).is_err(), "{bad}");
        }
        for private in ["https://127.0.0.1/", "http://127.0.0.1:9/jwks", "http://localhost/jwks", "https://10.0.0.1/"] {
            assert!(key_set(private, true).is_ok(), "{private}");
        }
        assert!(key_set("http://10.0.0.1/", true).is_err());
    }

    #[test]
    fn where_a_browser_may_be_sent() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?a=b",
            "http://127.0.0.1:3000/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
            "https://app.example/cb*",
        ] {
            assert!(redirect(good).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "https://app.example/cb#x",
            "https://a@app.example/",
            "https://app.example/a b",
            "https:///cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "app:/cb",
            "/cb",
            "",
            "http://127.0.0.1.example/cb",
            "http://localhost.example/",
            "https://app.example\\@evil.example/",
            "com.example.app:",
            "https://*.example/cb",
            "https://app.example:*/cb",
            "com.example.app://*/cb",
        ] {
            assert!(redirect(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in ["https://app.example", "https://app.example:8443", "http://localhost:3000", "http://127.0.0.1:5173"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "https://app.example/",
            "https://App.example",
            "http://app.example",
            "null",
            "*",
            "https://app.example?x",
            "app.example",
            "https://*.example/x",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
