//! OIDs of system catalogs, which never change (src/include/catalog/*.h); the bindings have only some.

use pgrx::pg_sys::{self, Oid};

pub const RELATION: Oid = pg_sys::RelationRelationId;
pub const TYPE: Oid = pg_sys::TypeRelationId;
/// Its index by OID.
pub const TYPE_BY_OID: Oid = Oid::from_u32(2703);
pub const PROCEDURE: Oid = pg_sys::ProcedureRelationId;
pub const NAMESPACE: Oid = pg_sys::NamespaceRelationId;
pub const EXTENSION: Oid = pg_sys::ExtensionRelationId;
pub const DATABASE: Oid = pg_sys::DatabaseRelationId;
pub const ROLE: Oid = pg_sys::AuthIdRelationId;
/// Its index by OID.
pub const EXTENSION_BY_OID: Oid = Oid::from_u32(3080);
pub const EVENT_TRIGGER: Oid = pg_sys::EventTriggerRelationId;
pub const OPERATOR: Oid = pg_sys::OperatorRelationId;

pub const ATTRIBUTE_DEFAULT: Oid = Oid::from_u32(2604);
pub const CAST: Oid = Oid::from_u32(2605);
pub const CONSTRAINT: Oid = Oid::from_u32(2606);
pub const DEPEND: Oid = Oid::from_u32(2608);
pub const INDEX: Oid = Oid::from_u32(2610);
pub const INHERITANCE: Oid = Oid::from_u32(2611);
pub const LARGE_OBJECT: Oid = Oid::from_u32(2613);
pub const RULE: Oid = Oid::from_u32(2618);
pub const TRIGGER: Oid = Oid::from_u32(2620);
pub const DATABASE_ROLE_SETTING: Oid = Oid::from_u32(2964);
pub const COLLATION: Oid = Oid::from_u32(3456);
pub const TEXT_SEARCH_DICTIONARY: Oid = Oid::from_u32(3600);
pub const TEXT_SEARCH_CONFIGURATION: Oid = Oid::from_u32(3602);
pub const POLICY: Oid = Oid::from_u32(3256);
pub const STATISTICS: Oid = Oid::from_u32(3381);
pub const TRANSFORM: Oid = Oid::from_u32(3576);
pub const PUBLISHED_SCHEMA: Oid = Oid::from_u32(6237);
