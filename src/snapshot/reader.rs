//! What the readers of all kinds share: names of schemas, comments, members of extensions, and the snapshot
//! itself, into which an object goes together with its grants and its comment.

use std::collections::{HashMap, HashSet};

use belay_core::snapshot::{Definition, Kind, Snapshot};
use pgrx::pg_sys::Oid;
use serde_json::{Value, json};

use crate::error::Result;
use crate::pg::acl::Grant;
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key};
use crate::pg::{catalog, class, print};

/// The first OID of what initdb did not make (`FirstNormalObjectId`, access/transam.h).
const FIRST_OF_USERS: u32 = 16_384;

/// A snapshot that is being read.
pub struct Reader {
    pub snapshot: Snapshot,
    /// The quoted names of all schemas.
    schemas: HashMap<Oid, String>,
    /// The schemas whose objects count.
    pub within: HashSet<Oid>,
    /// By catalog, object and column.
    comments: HashMap<(Oid, Oid, i32), String>,
    /// Members of extensions, by catalog and object.
    members: HashSet<(Oid, Oid)>,
}

/// An object, on its way into the snapshot.
pub struct Object<'a> {
    pub kind: Kind,
    /// Where its comment is found: its catalog, itself, and the number of the column, or 0.
    pub place: (Oid, Oid, i32),
    pub name: &'a str,
    /// What its access list gives to others than the owner.
    pub grants: &'a [Grant],
}

impl Reader {
    /// An empty one.
    pub fn new() -> Result<Reader> {
        let mut reader = Reader {
            snapshot: Snapshot::default(),
            schemas: HashMap::new(),
            within: HashSet::new(),
            comments: HashMap::new(),
            members: HashSet::new(),
        };
        catalog::each(class::NAMESPACE, class::NAMESPACE_BY_OID, &[], |row| {
            let name = row.get_name(c"nspname")?.unwrap_or_default();
            reader
                .schemas
                .insert(row.require(c"oid")?, print::quote(&name));
            Ok(())
        })?;
        reader.read_comments()?;
        reader.read_members()?;
        Ok(reader)
    }

    /// Of what users made; the schema public, which initdb made, has its own.
    fn read_comments(&mut self) -> Result<()> {
        let (catalog, index) = (class::DESCRIPTION, class::DESCRIPTION_BY_OBJECT);
        catalog::each(catalog, index, &[users(c"objoid")], |row| {
            self.keep_comment(row)
        })?;
        let public = Oid::from_u32(pgrx::pg_sys::PG_PUBLIC_NAMESPACE);
        let keys = [
            equal(c"objoid", Field::Oid(public)),
            equal(c"classoid", Field::Oid(class::NAMESPACE)),
        ];
        catalog::each(catalog, index, &keys, |row| self.keep_comment(row))
    }

    fn keep_comment(&mut self, row: &Row) -> Result<()> {
        let place = (
            row.require(c"classoid")?,
            row.require(c"objoid")?,
            row.require(c"objsubid")?,
        );
        if let Some(text) = row.get(c"description")? {
            self.comments.insert(place, text);
        }
        Ok(())
    }

    fn read_members(&mut self) -> Result<()> {
        let keys = [equal(c"refclassid", Field::Oid(class::EXTENSION))];
        catalog::each(class::DEPEND, class::DEPEND_BY_REFERENCED, &keys, |row| {
            if row.letter(c"deptype")? == 'e' {
                let member = (row.require(c"classid")?, row.require(c"objid")?);
                self.members.insert(member);
            }
            Ok(())
        })
    }

    /// Whether what a schema holds counts: it is looked at, and the object is no member of an extension.
    pub fn counts(&self, schema: Oid, catalog: Oid, object: Oid) -> bool {
        self.within.contains(&schema) && !self.members.contains(&(catalog, object))
    }

    /// Whether an object is a member of an extension.
    pub fn is_member(&self, catalog: Oid, object: Oid) -> bool {
        self.members.contains(&(catalog, object))
    }

    /// A schema's name, quoted.
    pub fn schema(&self, id: Oid) -> &str {
        self.schemas.get(&id).map_or("", String::as_str)
    }

    /// A name within a schema, both quoted.
    pub fn qualified(&self, schema: Oid, name: &str) -> String {
        format!("{}.{}", self.schema(schema), print::quote(name))
    }

    /// A relation's name, qualified and quoted.
    pub fn relation(&self, id: Oid) -> Result<Option<String>> {
        let (catalog, index) = (class::RELATION, class::RELATION_BY_OID);
        catalog::find(catalog, index, 1, id, |row| {
            let name = row.get_name(c"relname")?.unwrap_or_default();
            Ok(self.qualified(row.require(c"relnamespace")?, &name))
        })
        .transpose()
    }

    /// The comment on an object.
    pub fn comment(&self, place: (Oid, Oid, i32)) -> Option<&str> {
        self.comments.get(&place).map(String::as_str)
    }

    /// Puts an object in, with its grants and its comment.
    pub fn add(&mut self, object: &Object<'_>, definition: Definition) {
        self.add_grants(object);
        if let Some(text) = self.comments.get(&object.place) {
            let mut comment = described(object);
            comment.insert("text".to_owned(), json!(text));
            let name = format!("{} {}", object.kind.word(), object.name);
            self.snapshot.insert(Kind::Comment, name, comment);
        }
        self.snapshot
            .insert(object.kind, object.name.to_owned(), definition);
    }

    /// Several roles may have granted the same; grantable by one is grantable.
    fn add_grants(&mut self, object: &Object<'_>) {
        let has = |grantee: &str, privilege: &str| {
            let mut grants = object.grants.iter();
            grants.any(|other| other.grantee == grantee && other.privilege == privilege)
        };
        for grant in object.grants {
            let Grant {
                privilege, grantee, ..
            } = grant;
            if *privilege == "MAINTAIN" && ALL_OF_A_TABLE.iter().all(|one| has(grantee, one)) {
                continue;
            }
            let grantable = object.grants.iter().any(|other| {
                other.grantee == *grantee && other.privilege == *privilege && other.grantable
            });
            let mut definition = described(object);
            definition.insert("privilege".to_owned(), json!(privilege));
            definition.insert("grantee".to_owned(), json!(grantee));
            definition.insert("grantable".to_owned(), json!(grantable));
            let name = format!(
                "{privilege} on {} {} to {grantee}",
                object.kind.word(),
                object.name
            );
            self.snapshot.insert(Kind::Grant, name, definition);
        }
    }
}

/// What GRANT ALL ON a table gave before MAINTAIN came in 17.
const ALL_OF_A_TABLE: [&str; 7] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
];

fn described(object: &Object<'_>) -> Definition {
    [
        ("object_kind".to_owned(), object.kind.word().into()),
        ("object".to_owned(), object.name.into()),
    ]
    .into_iter()
    .collect()
}

/// Attributes by name; what is NULL does not apply and is absent.
pub fn definition<const N: usize>(attributes: [(&str, Value); N]) -> Definition {
    let attributes = attributes.into_iter();
    attributes
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What users made.
pub fn users(column: &std::ffi::CStr) -> Key<'_> {
    let last = Oid::from_u32(FIRST_OF_USERS - 1);
    Key(column, Compare::Greater, Field::Oid(last))
}

/// Rows in which a column has that value.
pub fn equal<'a>(column: &'a std::ffi::CStr, value: Field<'a>) -> Key<'a> {
    Key(column, Compare::Equal, value)
}

/// Texts in the order of their bytes; NULL where there are none.
pub fn sorted(mut texts: Vec<String>) -> Value {
    texts.sort_unstable();
    match texts.is_empty() {
        true => Value::Null,
        false => texts.into(),
    }
}

/// Whether an object depends on another one in that way (`pg_depend.deptype`): as a part of it, as an identity's sequence does.
pub fn depends(catalog: Oid, object: Oid, kind: char) -> Result<bool> {
    let keys = [
        equal(c"classid", Field::Oid(catalog)),
        equal(c"objid", Field::Oid(object)),
    ];
    let mut found = false;
    catalog::each(class::DEPEND, class::DEPEND_BY_DEPENDER, &keys, |row| {
        found |= row.letter(c"deptype")? == kind;
        Ok(())
    })?;
    Ok(found)
}
