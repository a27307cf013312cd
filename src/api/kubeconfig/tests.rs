//! Which kubeconfig counts, and what is said where none does.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A home directory whose kubeconfig is this one, beside other files.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path(".kube")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A kubeconfig with one context and one cluster of this name.
    fn write(&self, file: &str, name: &str) -> PathBuf {
        let path = self.path(file);
        let text = format!(
            "clusters: [{{name: {name}, cluster: {{server: 'https://{name}:6443'}}}}]\n\
             contexts: [{{name: {name}, context: {{cluster: {name}, namespace: ns-{name}}}}}]\n\
             current-context: {name}\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    fn places(&self, flag: Option<&Path>, variable: &[&Path]) -> Places {
        Places {
            flag: flag.map(Path::to_owned),
            variable: env::join_paths(variable).unwrap(),
            home: Some(self.0.path().to_owned()),
        }
    }
}

/// The server and the namespace that a client then has.
async fn chosen(places: &Places, context: Option<&str>) -> Result<Option<[String; 2]>, String> {
    let read = places.read().map_err(|error| error.to_string())?;
    let Some((kubeconfig, origin)) = read else {
        return Ok(None);
    };
    let config = config(kubeconfig, context, &origin).await;
    let config = config.map_err(|error| error.to_string())?;
    let host = config.cluster_url.host().unwrap_or_default().to_owned();
    Ok(Some([host, config.default_namespace]))
}

#[tokio::test]
async fn the_flag_comes_before_the_variable_and_that_before_the_home_directory() {
    let home = Home::new();
    let (flag, first, second) = (
        home.write("flag", "flag"),
        home.write("first", "first"),
        home.write("second", "second"),
    );
    let nowhere = home.path("nowhere");
    let is = |name: &str| Ok(Some([name.to_owned(), format!("ns-{name}")]));
    assert_eq!(chosen(&home.places(None, &[]), None).await, Ok(None));
    home.write(".kube/config", "home");
    for (by_flag, variable, context, expect) in [
        (None, &[][..], None, "home"),
        (None, &[&*first, &*second][..], None, "first"),
        (None, &[&*first, &*second], Some("second"), "second"),
        (None, &[&*nowhere, &*second], None, "second"),
        (Some(&*flag), &[&*first], None, "flag"),
    ] {
        let places = home.places(by_flag, variable);
        assert_eq!(chosen(&places, context).await, is(expect), "{places:?}");
    }
    // Files that are named and missing are not made up for by another.
    assert_eq!(
        chosen(&home.places(None, &[&nowhere]), None).await,
        Ok(None)
    );
}

#[tokio::test]
async fn errors_name_the_file_or_the_variable_and_what_to_do() {
    let home = Home::new();
    let (first, second) = (home.write("first", "first"), home.write("second", "second"));
    let nowhere = home.path("nowhere");
    let bad = home.path("bad");
    fs::write(&bad, "clusters: [").unwrap();
    let unset = home.path("unset");
    let text = fs::read_to_string(&first).unwrap();
    let text = text.replace("current-context: first", "current-context: \"\"");
    fs::write(&unset, text).unwrap();
    let variable = env::join_paths([&first, &second]).unwrap();
    for (flag, variable, context, expect) in [
        (
            Some(&*nowhere),
            &[][..],
            None,
            format!(
                "--kubeconfig {}: No such file or directory (os error 2)",
                nowhere.display()
            ),
        ),
        (
            Some(&*first),
            &[],
            Some("x"),
            format!(
                "--kubeconfig {}: there is no context \"x\"; there are first",
                first.display()
            ),
        ),
        (
            None,
            &[&*first, &*second],
            Some("x"),
            format!(
                "KUBECONFIG={}: there is no context \"x\"; there are first, second",
                variable.display()
            ),
        ),
        (
            None,
            &[&*first, &*bad],
            None,
            format!(
                "{}: not a kubeconfig: line 1, column 11: check indentation, quotes, brackets and colons there and just before",
                bad.display()
            ),
        ),
        (
            Some(&*unset),
            &[],
            None,
            format!(
                "--kubeconfig {}: current-context is not set; choose one with `kubectl config use-context`",
                unset.display()
            ),
        ),
    ] {
        let places = home.places(flag, variable);
        assert_eq!(chosen(&places, context).await, Err(expect), "{places:?}");
    }
}
