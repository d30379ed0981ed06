//! Lists of networks, as operators write them: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use toml::de::DeValue;

use super::value::Value;

/// Networks in CIDR notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them. An IPv4 address that is written as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: 10.0.0.0/8 or 2001:db8::/32 expected, or an address")]
pub struct InvalidNetwork(String);

impl FromStr for Networks {
    type Err = InvalidNetwork;

    /// Networks separated by commas.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let texts = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        texts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network: IpNet| network.trunc()).map_err(|_| InvalidNetwork(text.to_owned()))
}

impl Value for Networks {
    const EXPECTED: &'static str = "a list of networks such as 10.0.0.0/8, or addresses";

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_array()?.iter().map(|one| network(one.get_ref().as_str()?).ok()).collect::<Option<_>>().map(Self)
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.0.iter().map(|network| toml::Value::String(network.to_string())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        let networks: Networks = "10.1.2.3/8, 192.0.2.7,2001:db8::/32,".parse().unwrap();
        for inside in ["10.255.0.1", "::ffff:10.0.0.1", "192.0.2.7", "2001:db8:1::1"] {
            assert!(networks.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"] {
            assert!(!networks.contains(outside.parse().unwrap()), "{outside}");
        }
        assert_eq!(networks.to_toml().to_string(), "[\"10.0.0.0/8\", \"192.0.2.7/32\", \"2001:db8::/32\"]");
        assert!("".parse::<Networks>().unwrap().is_empty());
        for wrong in ["10.0.0.0/33", "10.0.0", "all", "10.0.0.0/8;1.1.1.1", "/8"] {
            assert_eq!(wrong.parse::<Networks>(), Err(InvalidNetwork(wrong.to_owned())));
        }
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        const WORDS: &[&str] = &[
            "10.",
            "0",
            "1",
            "255",
            ".",
            "/",
            "8",
            "32",
            "128",
            ":",
            "::",
            "2001:db8",
            "ffff",
            ",",
            " ",
            "0.0.0.0/0",
            "::/0",
            "-",
            "é",
        ];
        crate::fuzz::explore!("networks", |input: &[u8]| {
            let (probe, rest) = input.split_at(input.len().min(4));
            let text = crate::fuzz::spelled(rest, WORDS);
            let Ok(networks) = text.parse::<Networks>() else { return };
            let written = networks.to_toml();
            assert_eq!(Networks::from_text(&texts(&written).join(",")).as_ref(), Some(&networks), "{text:?}");
            let probe = Ipv4Addr::from_bits(probe.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)));
            let begins_like = |network: &String| {
                let (first, length) = network.split_once('/').unwrap();
                let (Ok(first), length) = (first.parse::<Ipv4Addr>(), length.parse::<u32>().unwrap()) else {
                    return false;
                };
                length == 0 || (first.to_bits() ^ probe.to_bits()) >> (32 - length) == 0
            };
            let expected = texts(&written).iter().any(begins_like);
            assert_eq!(networks.contains(probe.into()), expected, "{probe} in {text:?}");
            assert_eq!(networks.contains(probe.to_ipv6_mapped().into()), expected, "{probe} in {text:?}");
        });
    }

    fn texts(list: &toml::Value) -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }
}
