//! Updates of both forms, and what they make of a cache.

use serde_json::{Value, json};

use super::UpdateFormat::{V1, V2};
use super::*;
use crate::error::ErrorKind;
use crate::schema::{Base, ColumnType, MonitorTable};

const A: &str = "00000000-0000-4000-8000-00000000000a";
const B: &str = "00000000-0000-4000-8000-00000000000b";

fn mk_cache() -> TableCache {
    let column = |name, kind| Column {
        name,
        kind,
        keys: "",
    };
    let mut cache = TableCache::default();
    cache.plan(MonitorPlan {
        tables: vec![MonitorTable {
            name: "T",
            columns: [
                column("name", ColumnType::one(Base::String)),
                column("number", ColumnType::one(Base::Integer)),
                column("maybe", ColumnType::maybe(Base::String)),
                column("some", ColumnType::many(Base::String)),
                column("map", ColumnType::map(Base::String, Base::String)),
            ]
            .into(),
        }],
        missing: vec![],
    });
    cache
}

#[test]
fn unchanged_rows_keep_their_allocation_when_all_is_read_again() {
    let mut cache = mk_cache();
    let rows = |number: u8| {
        let row = |name: &str, number| json!({"initial": {"name": name, "number": number}});
        json!({"T": {A: row("a", 1), B: row("b", number)}}).to_string()
    };
    let id = |text| Uuid::parse(text).unwrap();
    let values = |cache: &TableCache, text| Arc::clone(&cache.row("T", id(text)).unwrap().values);
    cache.replace(V2, &rows(1)).unwrap();
    let before = [A, B].map(|text| values(&cache, text));
    let changes = cache.replace(V2, &rows(2)).unwrap();
    assert_eq!(changes.len(), 1);
    let after = [A, B].map(|text| values(&cache, text));
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert!(!Arc::ptr_eq(&before[1], &after[1]));
}

fn show(row: &Row) -> String {
    let shown = row.iter().map(|(_, datum)| match datum {
        Datum::One(_) | Datum::Set(_) => {
            let atoms: Vec<_> = datum.atoms().iter().map(show_atom).collect();
            atoms.join("+")
        }
        Datum::Map(pairs) => {
            let pair = |(k, v): &_| format!("{}={}", show_atom(k), show_atom(v));
            pairs.iter().map(pair).collect::<Vec<_>>().join("+")
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn show_atom(atom: &crate::atom::Atom) -> String {
    use crate::atom::Atom;
    match atom {
        Atom::Integer(number) => number.to_string(),
        Atom::String(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// The changes, a row each: `a: NAME NUMBER MAYBE SOME MAP`.
fn told(changes: Result<Vec<Change>, Error>) -> Vec<String> {
    match changes {
        Ok(changes) => {
            let told = changes.iter().map(|change| {
                let id = change.id.to_string();
                let row = change.row.as_ref().map_or_else(|| "gone".to_owned(), show);
                format!("{}: {row}", &id[35..])
            });
            told.collect()
        }
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn an_inserted_row_has_defaults_and_no_unknown_columns() {
    let mut cache = mk_cache();
    let updates =
        json!({"T": {A: {"insert": {"name": "x", "later": 1}}}, "U": {B: {"insert": {}}}});
    assert_eq!(told(cache.update(V2, &updates.to_string())), ["a: x 0   "]);
    assert_eq!(cache.rows("T").count(), 1);
    assert_eq!(cache.rows("U").count(), 0);
}

#[test]
fn a_modify_replaces_single_values_and_toggles_elements_of_sets_and_maps() {
    let mut cache = mk_cache();
    let all = json!({"T": {A: {"initial": {
        "name": "x", "number": 1, "maybe": "m", "some": ["set", ["a", "b"]],
        "map": ["map", [["k", "1"], ["l", "2"]]]}}}});
    cache.replace(V2, &all.to_string()).unwrap();
    for (modify, row) in [
        (json!({"number": 2}), "a: x 2 m a+b k=1+l=2"),
        (json!({"maybe": ["set", []]}), "a: x 2  a+b k=1+l=2"),
        (json!({"maybe": "n"}), "a: x 2 n a+b k=1+l=2"),
        (json!({"some": ["set", ["b", "c"]]}), "a: x 2 n a+c k=1+l=2"),
        (
            json!({"some": "c", "map": ["map", [["k", "1"], ["l", "3"]]]}),
            "a: x 2 n a l=3",
        ),
    ] {
        let updates = json!({"T": {A: {"modify": modify}}}).to_string();
        assert_eq!(told(cache.update(V2, &updates)), [row]);
    }
    let nothing = json!({"T": {A: {"modify": {"number": 2, "some": ["set", []]}}}});
    assert_eq!(told(cache.update(V2, &nothing.to_string())), [""; 0]);
}

#[test]
fn an_update_of_the_first_form_brings_whole_values() {
    let mut cache = mk_cache();
    let row = |number: i64, some: &str| json!({"name": "x", "number": number, "maybe": ["set", []], "some": some, "map": ["map", []]});
    let reset = json!({"T": {A: {"new": row(1, "a")}, B: {"new": row(2, "b")}}});
    assert_eq!(
        told(cache.replace(V1, &reset.to_string())),
        ["a: x 1  a ", "b: x 2  b "]
    );
    let update = json!({"T": {
        A: {"old": {"some": "a"}, "new": row(1, "c")},
        B: {"old": row(2, "b")}}});
    assert_eq!(
        told(cache.update(V1, &update.to_string())),
        ["a: x 1  c ", "b: gone"]
    );
}

#[test]
fn replacing_all_rows_returns_only_the_differences() {
    let mut cache = mk_cache();
    let all = |rows: Value| json!({ "T": rows }).to_string();
    cache
        .replace(
            V2,
            &all(json!({A: {"initial": {"name": "x"}}, B: {"initial": {"name": "y"}}})),
        )
        .unwrap();
    let same = all(json!({A: {"initial": {"name": "x"}}, B: {"initial": {"name": "y"}}}));
    assert_eq!(told(cache.replace(V2, &same)), [""; 0]);
    let other = all(json!({B: {"initial": {"name": "z"}}}));
    assert_eq!(told(cache.replace(V2, &other)), ["a: gone", "b: z 0   "]);
    assert_eq!(told(cache.replace(V2, "{}")), ["b: gone"]);
}

#[test]
fn malformed_updates_change_nothing() {
    let mut cache = mk_cache();
    for (updates, error) in [
        (
            json!({"T": {A: {"insert": {"name": "x"}}, B: {"modify": {}}}}),
            format!("T: row {B} changes and was never there"),
        ),
        (
            json!({"T": {A: {"insert": {}}, B: {"delete": null}}}),
            format!("T: row {B} changes and was never there"),
        ),
        (
            json!({"T": {A: {"insert": {"name": 1}}}}),
            "T.name: a value is not of type string".to_owned(),
        ),
        (
            json!({"T": {A: {"insert": {"map": "x"}}}}),
            "T.map: expected a map".to_owned(),
        ),
    ] {
        assert_eq!(told(cache.update(V2, &updates.to_string())), [error]);
        assert_eq!(cache.rows("T").count(), 0);
    }
    for updates in [
        json!([]),
        json!({"T": []}),
        json!({"T": {"x": {"insert": {}}}}),
        json!({"T": {A: {"upsert": {}}}}),
        json!({"T": {A: {}}}),
        json!({"T": {A: {"insert": 1}}}),
    ] {
        let said = told(cache.update(V2, &updates.to_string()));
        assert!(said[0].starts_with("updates can't be read: "), "{said:?}");
    }
    // However deep it is: the framer bounds that.
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep = |column| format!(r#"{{"T": {{"{A}": {{"insert": {{"{column}": {deep}}}}}}}}}"#);
    let said = told(cache.update(V2, &deep("name")));
    assert_eq!(said, ["T.name: a value is not of type string"]);
    let said = told(cache.update(V2, &deep("other")));
    assert_eq!(said, ["a:  0   "]);
}

#[test]
fn replacing_some_tables_leaves_the_others() {
    let mut cache = mk_cache();
    let mut plan = cache.planned().clone();
    let other = MonitorTable {
        name: "U",
        ..plan.tables[0].clone()
    };
    plan.tables.push(other);
    cache.plan(plan);
    let row = |name: &str| json!({"initial": {"name": name}});
    let all = json!({"T": {A: row("t")}, "U": {B: row("u")}}).to_string();
    cache.replace(V2, &all).unwrap();
    let changes = cache.replace_tables(V2, |table| table == "T", "{}");
    assert_eq!(told(changes), ["a: gone"]);
    assert_eq!((cache.rows("T").count(), cache.rows("U").count()), (0, 1));
    let row = |name: &str| json!({"new": {"name": name}});
    let new = json!({"U": {A: row("v")}}).to_string();
    let changes = cache.replace_tables(V1, |table| table == "U", &new);
    assert_eq!(told(changes), ["b: gone", "a: v 0   "]);
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let mut cache = mk_cache();
    let row = |name| format!(r#""{A}": {{"insert": {{"name": "{name}"}}}}"#);
    let updates = format!(
        r#"{{"T": {{{}, {}}}, "T": {{{}}}}}"#,
        row("x"),
        row("y"),
        row("z")
    );
    assert_eq!(told(cache.update(V2, &updates)), ["a: z 0   "]);
}

/// An update of so many rows of names of so many characters.
fn mk_rows(count: usize, length: usize) -> String {
    let rows = (0..count).map(|number| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        format!(
            r#""{id}":{{"initial":{{"name":"{}"}}}}"#,
            "n".repeat(length)
        )
    });
    format!(r#"{{"T":{{{}}}}}"#, rows.collect::<Vec<_>>().join(","))
}

#[test]
fn a_database_over_the_limit_is_refused_and_changes_nothing() {
    let row = budget::ROW + 5 * budget::COLUMN + budget::string(10);
    let mut cache = mk_cache();
    let plan = cache.planned().clone();
    cache = TableCache::with_limit(10 * row);
    cache.plan(plan);
    assert_eq!(cache.replace(V2, &mk_rows(10, 10)).unwrap().len(), 10);
    assert_eq!(cache.size, 10 * row);
    let too_large = |result: Result<Vec<Change>, Error>| {
        result.is_err_and(|error| error.kind() == ErrorKind::TooLarge)
    };
    assert!(too_large(cache.replace(V2, &mk_rows(11, 10))));
    assert!(too_large(cache.replace(V2, &mk_rows(1, 10 * row))));
    // One more, in an update that is small itself.
    let more = json!({"T": {A: {"insert": {"name": "n"}}}}).to_string();
    assert!(too_large(cache.update(V2, &more)));
    assert_eq!((cache.rows("T").count(), cache.size), (10, 10 * row));
    // What goes makes room, and nothing counts twice.
    let id = "00000000-0000-4000-8000-000000000000";
    let swap = json!({"T": {A: {"insert": {"name": "n"}}, id: {"delete": null}}}).to_string();
    assert_eq!(cache.update(V2, &swap).unwrap().len(), 2);
    cache.replace(V2, "{}").unwrap();
    assert_eq!(cache.size, 0);
}

#[test]
fn tables_and_columns_that_are_not_followed_cost_nothing() {
    let plan = mk_cache().planned().clone();
    let mut cache = TableCache::with_limit(4096);
    cache.plan(plan);
    let junk: Vec<_> = (0..10_000)
        .map(|number| format!("\"k{number}\":[{number}]"))
        .collect();
    let junk = junk.join(",");
    let updates =
        format!(r#"{{"V":{{"x":{{{junk}}}}},"T":{{"{A}":{{"insert":{{"name":"x",{junk}}}}}}}}}"#);
    assert_eq!(told(cache.update(V2, &updates)), ["a: x 0   "]);
    let elements = vec!["e"; 100];
    let many = json!({"T": {A: {"insert": {"some": ["set", elements]}}}}).to_string();
    let said = told(cache.update(V2, &many));
    assert_eq!(
        said,
        ["the database is larger than the limit: its content takes more than 4096 bytes"]
    );
}

#[test]
fn a_plan_of_other_columns_makes_other_rows() {
    let mut cache = mk_cache();
    let all = json!({"T": {A: {"initial": {"name": "x"}}}}).to_string();
    cache.replace(V2, &all).unwrap();
    assert!(cache.plan(cache.planned().clone()));
    let mut plan = cache.planned().clone();
    plan.tables[0].columns = plan.tables[0].columns[..1].into();
    assert!(!cache.plan(plan));
    assert_eq!(told(cache.replace(V2, &all)), ["a: x"]);
    let (_, row) = cache.rows("T").next().unwrap();
    assert_eq!(row.get("name").and_then(Datum::text), Some("x"));
    assert_eq!(row.get("number"), None);
}
