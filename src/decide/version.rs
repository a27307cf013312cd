//! Releases of the components that berth works with, and ranges of them.

use std::fmt;

/// What has releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// KubeVirt.
    KubeVirt,
    /// Kube-OVN.
    KubeOvn,
    /// OVN.
    Ovn,
}

impl Component {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KubeVirt => "KubeVirt",
            Self::KubeOvn => "Kube-OVN",
            Self::Ovn => "OVN",
        }
    }
}

/// A release: major, minor and patch. A pre-release or a vendor's build counts as its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The version of this text: `v1.9.0`, `1.14.12-x86`, `v1.5.3-69-gfcb0c5d9a`. `None` if the text does
    /// not begin with three numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next()?;
        let end = patch.find(|c: char| !c.is_ascii_digit());
        let patch = patch.get(..end.unwrap_or(patch.len()))?.parse().ok()?;
        Some(Self(major, minor, patch))
    }

    /// The version in the tag of an image: `quay.io/kubevirt/virt-launcher:v1.9.0@sha256:…`. `None` if it
    /// has no tag, or one that is no version.
    #[must_use]
    pub fn of_image(image: &str) -> Option<Self> {
        let (_, tag) = split_image(image)?;
        Self::parse(tag)
    }
}

/// The last part of an image's repository and its tag; `None` if it has no tag.
#[must_use]
pub fn split_image(image: &str) -> Option<(&str, &str)> {
    let (image, _) = image.split_once('@').unwrap_or((image, ""));
    image.rsplit('/').next()?.split_once(':')
}

/// Writes the version as its project does: `1.14.5`, and `24.03.4` for OVN, whose releases are dates.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        if *major < 20 {
            write!(f, "{major}.{minor}.{patch}")
        } else {
            write!(f, "{major}.{minor:02}.{patch}")
        }
    }
}

/// Releases that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first release of the range; `None` for every earlier one.
    pub from: Option<Version>,
    /// The first release after the range; `None` if there is none that is known.
    pub before: Option<Version>,
}

impl Range {
    /// Every release.
    pub const ALL: Self = Self {
        from: None,
        before: None,
    };

    /// Whether the release is in the range.
    #[must_use]
    pub fn contains(self, version: Version) -> bool {
        self.from.is_none_or(|from| from <= version)
            && self.before.is_none_or(|before| version < before)
    }
}

/// The releases before this one.
#[must_use]
pub const fn before(end: Version) -> Range {
    Range {
        before: Some(end),
        ..Range::ALL
    }
}

/// This release and the later ones.
#[must_use]
pub const fn since(from: Version) -> Range {
    Range {
        from: Some(from),
        ..Range::ALL
    }
}

/// The releases from the first up to the second, without that.
#[must_use]
pub const fn between(from: Version, end: Version) -> Range {
    Range {
        from: Some(from),
        before: Some(end),
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.before) {
            (None, None) => f.write_str("every release"),
            (None, Some(before)) => write!(f, "before {before}"),
            (Some(from), None) => write!(f, "from {from} on"),
            (Some(from), Some(before)) => write!(f, "from {from} to before {before}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_three_numbers_and_whatever_follows() {
        for (text, expect) in [
            ("v1.9.0", Some(Version(1, 9, 0))),
            ("1.14.12-x86", Some(Version(1, 14, 12))),
            ("v1.8.0-rc.1", Some(Version(1, 8, 0))),
            ("v1.5.3-69-gfcb0c5d9a", Some(Version(1, 5, 3))),
            ("1.7.4-150700.3.24.2", Some(Version(1, 7, 4))),
            ("v1.10.12+vendor", Some(Version(1, 10, 12))),
            ("v0.59.2", Some(Version(0, 59, 2))),
            ("1.7.0", Some(Version(1, 7, 0))),
            ("24.03.4", Some(Version(24, 3, 4))),
            ("latest", None),
            ("devel", None),
            ("v1.6", None),
            ("v1.6.x", None),
            ("release-1.2.3", None),
            ("1.99999999999.0", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(text), expect, "{text}");
        }
    }

    #[test]
    fn the_version_of_an_image_is_that_of_its_tag() {
        let digest = "sha256:3b5d5c3712955042212316173ccf37be3b5d5c3712955042212316173ccf37be";
        for (image, expect) in [
            (
                "docker.io/kubeovn/kube-ovn:v1.14.5",
                Some(Version(1, 14, 5)),
            ),
            ("kubeovn/kube-ovn:v1.14.12-x86", Some(Version(1, 14, 12))),
            (
                "localhost:5000/kubevirt/virt-launcher:v1.9.0",
                Some(Version(1, 9, 0)),
            ),
            ("virt-launcher:v1.9.0", Some(Version(1, 9, 0))),
            ("localhost:5000/kubevirt/virt-launcher", None),
            ("quay.io/kubevirt/virt-launcher:latest", None),
            ("quay.io/kubevirt/virt-launcher", None),
            ("", None),
        ] {
            assert_eq!(Version::of_image(image), expect, "{image}");
            let pinned = format!("{image}@{digest}");
            assert_eq!(Version::of_image(&pinned), expect, "{pinned}");
        }
    }

    #[test]
    fn a_version_is_written_as_its_project_writes_it() {
        for (version, expect) in [
            (Version(1, 5, 1), "1.5.1"),
            (Version(0, 59, 2), "0.59.2"),
            (Version(24, 3, 4), "24.03.4"),
        ] {
            assert_eq!(version.to_string(), expect);
        }
    }

    #[test]
    fn a_range_has_its_first_release_and_not_the_one_after_its_last() {
        let (from, before) = (Some(Version(1, 14, 21)), Some(Version(1, 15, 0)));
        let before_from = Version(1, 14, 20);
        let last = Version(1, 14, u32::MAX);
        for (range, text, has_earlier, has_later) in [
            (
                Range { from, before },
                "from 1.14.21 to before 1.15.0",
                false,
                false,
            ),
            (Range { from: None, before }, "before 1.15.0", true, false),
            (Range { from, before: None }, "from 1.14.21 on", false, true),
            (
                Range {
                    from: None,
                    before: None,
                },
                "every release",
                true,
                true,
            ),
        ] {
            assert_eq!(range.to_string(), text);
            assert_eq!(range.contains(before_from), has_earlier, "{text}");
            assert!(range.contains(Version(1, 14, 21)), "{text}");
            assert!(range.contains(last), "{text}");
            assert_eq!(range.contains(Version(1, 15, 0)), has_later, "{text}");
        }
    }
}
