//! What berth reads from OVN's northbound database and writes to it. A write is one transaction, which
//! takes effect only while what it was decided on is still there.

use std::collections::BTreeMap;
use std::time::Duration;

use ovsdb::{
    ClientOptions, Condition, Datum, Function, Mutation, Mutator, SelectedRow, TransactError,
    TransactReply, Transaction, Transactor, Until, Uuid,
};

use crate::decide::continuity::collect::{Leftovers, Made};
use crate::decide::continuity::pair::Options;
use crate::decide::continuity::record::{PairRecord, Records, WarmRecord, pair_key, warm_key};
use crate::decide::continuity::warm::{self, Need, Plan};

const DATABASE: &str = "OVN_Northbound";
const GLOBAL: &str = "NB_Global";
const SWITCH: &str = "Logical_Switch";
const PORT: &str = "Logical_Switch_Port";
const GROUP: &str = "HA_Chassis_Group";
const GROUP_MEMBER: &str = "HA_Chassis";

/// How long one server may take for a transaction.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The entry of `external_ids` that every port and group of berth has.
const OWNER: (&str, &str) = ("owner", "berth");

/// The entries of a warm port that say where it is.
const AT_CHASSIS: &str = "berth-chassis";
const AT_SWITCH: &str = "berth-switch";

/// A logical switch port of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its options.
    pub options: Options,
    /// Its addresses: of each a MAC, and the IPs behind it.
    pub addresses: Vec<String>,
    /// What berth remembers of it.
    pub record: Option<PairRecord>,
}

/// A change of a port, and of what berth remembers of it.
#[derive(Clone, Debug)]
pub struct PortChange {
    /// The id of the port.
    pub id: Uuid,
    /// The options as they were read and as they are to be; `None` leaves them.
    pub options: Option<(Options, Options)>,
    /// What was remembered as it was read: of another record nothing is removed.
    pub remembered: Option<PairRecord>,
    /// What to remember; `None` removes the record.
    pub record: Option<PairRecord>,
}

/// A warm port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmRow {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The name of its chassis.
    pub chassis: String,
    /// The id of its switch.
    pub switch: Option<Uuid>,
}

/// Everything of berth in the database, at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// `NB_Global.nb_cfg`.
    pub nb_cfg: i64,
    /// What berth remembers.
    pub records: Records,
    /// Its warm ports.
    pub ports: Vec<WarmRow>,
    /// The names of its HA groups.
    pub groups: Vec<String>,
    /// `NB_Global.external_ids`, whole.
    external_ids: Option<Datum>,
}

impl State {
    /// What was made to warm chassis.
    #[must_use]
    pub fn made(&self) -> Made {
        let ports = self.ports.iter();
        Made {
            ports: ports
                .map(|port| (port.name.clone(), port.chassis.clone()))
                .collect(),
            groups: self.groups.clone(),
        }
    }
}

/// The northbound database, over a new connection for each transaction.
#[derive(Clone, Debug)]
pub struct Northbound {
    options: ClientOptions,
}

impl Northbound {
    /// The database with these options.
    #[must_use]
    pub const fn new(options: ClientOptions) -> Self {
        Self { options }
    }

    async fn transact(&self, transaction: &Transaction) -> Result<TransactReply, TransactError> {
        let mut transactor = Transactor::new(self.options.clone()).with_timeout(TIMEOUT);
        transactor.transact(transaction).await
    }

    /// The ports of a VM on all its networks. Kube-OVN marks them with their VM; the name is that of the
    /// default network, which is all that old releases give.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn ports_of(&self, namespace: &str, vm: &str) -> Result<Vec<Port>, TransactError> {
        let mut transaction = reading();
        let of_vm = Datum::map([("pod", &*format!("{namespace}/{vm}"))]);
        let no_type = || Condition::equal("type", "");
        let by_mark = [
            Condition::new("external_ids", Function::Includes, of_vm),
            no_type(),
        ];
        let by_name = [
            Condition::equal("name", format!("{vm}.{namespace}")),
            no_type(),
        ];
        let selects = [by_mark, by_name]
            .map(|conditions| transaction.select(PORT, &conditions, PORT_COLUMNS));
        let global = transaction.select(GLOBAL, &[], &["external_ids"]);
        let reply = self.transact(&transaction).await?;
        let ids = reply.rows(global).first();
        let ids = ids.and_then(|row| row.get("external_ids")).into_iter();
        let records = Records::read(ids.flat_map(Datum::pairs));
        let rows = selects.iter().flat_map(|select| reply.rows(*select));
        let ports = rows.filter_map(|row| {
            let mut port = Port::read(row)?;
            port.record = records.pairs.get(&port.id.to_string()).cloned();
            Some((port.id, port))
        });
        let ports: BTreeMap<_, _> = ports.collect();
        Ok(ports.into_values().collect())
    }

    /// For each of these ports, another port with the same address, if there is one.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn twins_of(&self, ports: &[Port]) -> Result<Vec<(String, String)>, TransactError> {
        let mut transaction = reading();
        let addresses = ports.iter().flat_map(|port| {
            let fixed = port.addresses.iter().filter(|address| is_fixed(address));
            fixed.map(move |address| (port, address))
        });
        let selects: Vec<_> = addresses
            .map(|(port, address)| {
                let has = Condition::new("addresses", Function::Includes, address.as_str());
                (port, transaction.select(PORT, &[has], &["name"]))
            })
            .collect();
        if selects.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.transact(&transaction).await?;
        let twins = selects.iter().filter_map(|(port, select)| {
            let names = reply.rows(*select).iter();
            let mut names = names.filter_map(|row| row.get("name")?.text());
            let twin = names.find(|name| *name != port.name)?;
            Some((port.name.clone(), twin.to_owned()))
        });
        Ok(twins.collect())
    }

    /// The options of the ports of these ids that are there.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn options_of(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<BTreeMap<Uuid, Options>, TransactError> {
        let mut transaction = reading();
        let selects: Vec<_> = ids
            .into_iter()
            .map(|id| transaction.select(PORT, &[Condition::row(id)], PORT_COLUMNS))
            .collect();
        if selects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let reply = self.transact(&transaction).await?;
        let rows = selects.iter().flat_map(|select| reply.rows(*select));
        let ports = rows.filter_map(Port::read);
        Ok(ports.map(|port| (port.id, port.options)).collect())
    }

    /// Changes ports, all of them or none.
    ///
    /// # Errors
    /// Nothing was written: also where one of them has changed since it was read, which
    /// `has_changed` tells.
    pub async fn change_ports(&self, changes: &[PortChange]) -> Result<(), TransactError> {
        let mut transaction = Transaction::new(DATABASE);
        for PortChange { id, options, .. } in changes {
            if let Some((read, wanted)) = options {
                transaction.verify(PORT, *id, [("options", datum(read))]);
                let row = [("options", datum(wanted))];
                transaction.update(PORT, &[Condition::row(*id)], row);
            }
        }
        let mut records = RecordChanges::default();
        for change in changes {
            let key = pair_key(&change.id.to_string());
            if let Some(read) = &change.remembered {
                records.remove.push((key.clone(), read.value()));
            }
            if let Some(record) = &change.record {
                records.add.push((key, record.value()));
            }
        }
        records.write(&mut transaction);
        self.transact(&transaction).await.map(drop)
    }

    /// Everything of berth in the database.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn state(&self) -> Result<State, TransactError> {
        let mut transaction = reading();
        let global = transaction.select(GLOBAL, &[], &["nb_cfg", "external_ids"]);
        let external = [Condition::equal("type", "external"), is_ours()];
        let ports = transaction.select(PORT, &external, &["_uuid", "name", "external_ids"]);
        let groups = transaction.select(GROUP, &[is_ours()], &["name"]);
        let reply = self.transact(&transaction).await?;
        let global = reply.rows(global).first();
        let column = |name: &str| global.and_then(|row| row.get(name));
        let external_ids = column("external_ids").cloned();
        let mut records = Records::read(external_ids.iter().flat_map(Datum::pairs));
        // A record of what is no row is as good as damaged.
        let no_row = |id: &String| Uuid::parse(id).is_none();
        let damaged: Vec<_> = records
            .pairs
            .keys()
            .filter(|id| no_row(id))
            .cloned()
            .collect();
        for id in damaged {
            records.pairs.remove(&id);
            records.damaged.push(pair_key(&id));
        }
        Ok(State {
            nb_cfg: column("nb_cfg")
                .and_then(Datum::integer)
                .unwrap_or_default(),
            records,
            ports: reply.rows(ports).iter().filter_map(WarmRow::read).collect(),
            groups: reply
                .rows(groups)
                .iter()
                .filter_map(|row| Some(row.get("name")?.text()?.to_owned()))
                .collect(),
            external_ids,
        })
    }

    /// Makes and marks warm ports, at `now` in seconds since the epoch. Returns the `nb_cfg` that tells of
    /// this transaction, if it asks for one.
    ///
    /// # Errors
    /// Nothing was written: also where another replica was faster, which `has_changed` tells.
    pub async fn warm(&self, state: &State, plan: &Plan, now: u64) -> Result<i64, TransactError> {
        let mut transaction = Transaction::new(DATABASE);
        let nb_cfg = if plan.asks() {
            let read = SelectedRow::from([("nb_cfg".to_owned(), state.nb_cfg.into())]);
            let columns = ["nb_cfg"];
            transaction.wait(GLOBAL, &[], Until::Equal, &columns, &[read], Duration::ZERO);
            let next = next_nb_cfg(state.nb_cfg);
            transaction.update(GLOBAL, &[], [("nb_cfg", next.into())]);
            next
        } else {
            state.nb_cfg
        };
        let mut records = RecordChanges::default();
        let mut remember = |name: &str, nb_cfg| {
            if let Some(read) = state.records.warm.get(name) {
                records.remove.push((warm_key(name), read.value()));
            }
            let record = WarmRecord { used: now, nb_cfg };
            records.add.push((warm_key(name), record.value()));
        };
        for need in &plan.create {
            create(&mut transaction, need);
            remember(&warm::name(&need.switch, &need.place.chassis), nb_cfg);
        }
        for (name, known) in &plan.mark {
            remember(name, known.unwrap_or(nb_cfg));
        }
        records.write(&mut transaction);
        self.transact(&transaction).await.map(|_| nb_cfg)
    }

    /// Deletes leftovers that were found in this state.
    ///
    /// # Errors
    /// Nothing was deleted: also where the state has changed, which `has_changed` tells.
    pub async fn delete(&self, state: &State, left: &Leftovers) -> Result<(), TransactError> {
        let mut transaction = Transaction::new(DATABASE);
        // A replica that needs a port again says so in its record.
        if let Some(read) = state.external_ids.clone() {
            let read = SelectedRow::from([("external_ids".to_owned(), read)]);
            let columns = ["external_ids"];
            transaction.wait(GLOBAL, &[], Until::Equal, &columns, &[read], Duration::ZERO);
        }
        for port in state.ports.iter().filter(|p| left.ports.contains(&p.name)) {
            let holds = [Condition::new("ports", Function::Includes, port.id)];
            let remove = [Mutation::new("ports", Mutator::Delete, port.id)];
            // A port that is on no switch is gone.
            transaction.mutate(SWITCH, &holds, &remove);
        }
        for name in &left.groups {
            transaction.delete(GROUP, &[Condition::equal("name", name.clone()), is_ours()]);
        }
        let of_ports = left.ports.iter().map(|name| warm_key(name));
        let keys = of_ports.chain(left.records.iter().cloned());
        let read = state.external_ids.as_ref();
        let remove = keys.filter_map(|key| {
            let value = read?.entry(&key)?.to_owned();
            Some((key, value))
        });
        let records = RecordChanges {
            remove: remove.collect(),
            add: Vec::new(),
        };
        records.write(&mut transaction);
        self.transact(&transaction).await.map(drop)
    }
}

/// Whether a transaction failed because something was no longer as it was read, so that it helps to read it
/// again.
pub(super) fn has_changed(error: &TransactError) -> bool {
    match error {
        TransactError::Failed(error) => {
            error.is_timed_out() || error.error == "constraint violation"
        }
        TransactError::NotDone(_) | TransactError::Unknown(_) => false,
    }
}

const PORT_COLUMNS: &[&str] = &["_uuid", "name", "options", "addresses"];

/// Whether an entry of `addresses` names an address, rather than one of OVN's words.
fn is_fixed(address: &str) -> bool {
    address
        .split(' ')
        .next()
        .is_some_and(|mac| mac.len() == 17 && mac.contains(':'))
}

/// A transaction that changes nothing, so that it may go to any server.
fn reading() -> Transaction {
    Transaction::new(DATABASE).repeatable()
}

/// The rows that berth made.
fn is_ours() -> Condition {
    Condition::new("external_ids", Function::Includes, Datum::map([OWNER]))
}

/// As ovn-nbctl does, from the largest value on to the smallest.
const fn next_nb_cfg(nb_cfg: i64) -> i64 {
    if nb_cfg == i64::MAX { 1 } else { nb_cfg + 1 }
}

fn create(transaction: &mut Transaction, need: &Need) {
    let Need { place, switch } = need;
    let Some(switch_id) = Uuid::parse(switch) else {
        return;
    };
    let name = warm::name(switch, &place.chassis);
    // A switch that is gone would leave the group alone.
    transaction.verify(SWITCH, switch_id, [("_uuid", switch_id.into())]);
    // A group that lost its port, and was not collected yet.
    transaction.delete(GROUP, &[Condition::equal("name", name.clone()), is_ours()]);
    let member = [
        ("chassis_name", place.chassis.as_str().into()),
        ("priority", 1.into()),
    ];
    let member = transaction.insert(GROUP_MEMBER, member);
    let group = [
        ("name", name.as_str().into()),
        ("ha_chassis", member.reference().into()),
        ("external_ids", Datum::map([OWNER])),
    ];
    let group = transaction.insert(GROUP, group);
    let ids = [OWNER, (AT_CHASSIS, &*place.chassis), (AT_SWITCH, &**switch)];
    let port = [
        ("name", name.as_str().into()),
        ("type", "external".into()),
        ("enabled", false.into()),
        ("ha_chassis_group", group.reference().into()),
        ("external_ids", Datum::map(ids)),
    ];
    let port = transaction.insert(PORT, port);
    let add = [Mutation::new("ports", Mutator::Insert, port.reference())];
    transaction.mutate(SWITCH, &[Condition::row(switch_id)], &add);
}

/// Entries of `NB_Global.external_ids`, with their values.
#[derive(Default)]
struct RecordChanges {
    /// An entry that has another value by now stays.
    remove: Vec<(String, String)>,
    add: Vec<(String, String)>,
}

impl RecordChanges {
    fn write(&self, transaction: &mut Transaction) {
        let all = [
            (Mutator::Delete, &self.remove),
            (Mutator::Insert, &self.add),
        ];
        let all = all.into_iter().filter(|(_, entries)| !entries.is_empty());
        let mutations = all.map(|(mutator, entries)| {
            let entries = entries.iter().map(|(key, value)| (&**key, &**value));
            Mutation::new("external_ids", mutator, Datum::map(entries))
        });
        let mutations: Vec<_> = mutations.collect();
        if !mutations.is_empty() {
            transaction.mutate(GLOBAL, &[], &mutations);
        }
    }
}

fn datum(options: &Options) -> Datum {
    Datum::map(
        options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    )
}

fn id(row: &SelectedRow) -> Option<Uuid> {
    row.get("_uuid")?.uuids().next()
}

impl Port {
    fn read(row: &SelectedRow) -> Option<Self> {
        let options = row.get("options")?.pairs();
        let addresses = row.get("addresses").into_iter().flat_map(Datum::texts);
        Some(Self {
            id: id(row)?,
            addresses: addresses.map(str::to_owned).collect(),
            name: row.get("name")?.text()?.to_owned(),
            options: options
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            record: None,
        })
    }
}

impl WarmRow {
    fn read(row: &SelectedRow) -> Option<Self> {
        let ids = row.get("external_ids")?;
        Some(Self {
            id: id(row)?,
            name: row.get("name")?.text()?.to_owned(),
            chassis: ids.entry(AT_CHASSIS).unwrap_or_default().to_owned(),
            switch: ids.entry(AT_SWITCH).and_then(Uuid::parse),
        })
    }
}
