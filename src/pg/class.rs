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
pub const ATTRIBUTE: Oid = Oid::from_u32(1249);
pub const FOREIGN_SERVER: Oid = Oid::from_u32(1417);
pub const SEQUENCE: Oid = Oid::from_u32(2224);
pub const AGGREGATE: Oid = Oid::from_u32(2600);
pub const DESCRIPTION: Oid = Oid::from_u32(2609);
pub const OPERATOR_CLASS: Oid = Oid::from_u32(2616);
pub const FOREIGN_TABLE: Oid = Oid::from_u32(3118);
pub const ENUM: Oid = Oid::from_u32(3501);
pub const RANGE: Oid = Oid::from_u32(3541);

// Their indexes.
pub const FOREIGN_SERVER_BY_OID: Oid = Oid::from_u32(113);
pub const AGGREGATE_BY_FUNCTION: Oid = Oid::from_u32(2650);
pub const ATTRIBUTE_DEFAULT_BY_COLUMN: Oid = Oid::from_u32(2656);
pub const ATTRIBUTE_BY_NUMBER: Oid = Oid::from_u32(2659);
pub const RELATION_BY_OID: Oid = Oid::from_u32(2662);
pub const CONSTRAINT_BY_RELATION: Oid = Oid::from_u32(2665);
pub const CONSTRAINT_BY_TYPE: Oid = Oid::from_u32(2666);
pub const DEPEND_BY_DEPENDER: Oid = Oid::from_u32(2673);
pub const DEPEND_BY_REFERENCED: Oid = Oid::from_u32(2674);
pub const DESCRIPTION_BY_OBJECT: Oid = Oid::from_u32(2675);
pub const INDEX_BY_TABLE: Oid = Oid::from_u32(2678);
pub const INHERITANCE_BY_CHILD: Oid = Oid::from_u32(2680);
pub const NAMESPACE_BY_OID: Oid = Oid::from_u32(2685);
pub const OPERATOR_CLASS_BY_OID: Oid = Oid::from_u32(2687);
pub const PROCEDURE_BY_OID: Oid = Oid::from_u32(2690);
pub const RULE_BY_RELATION: Oid = Oid::from_u32(2693);
pub const TRIGGER_BY_RELATION: Oid = Oid::from_u32(2701);
pub const FOREIGN_TABLE_BY_RELATION: Oid = Oid::from_u32(3119);
pub const POLICY_BY_RELATION: Oid = Oid::from_u32(3258);
pub const ENUM_BY_ORDER: Oid = Oid::from_u32(3534);
pub const RANGE_BY_TYPE: Oid = Oid::from_u32(3542);
pub const SEQUENCE_BY_RELATION: Oid = Oid::from_u32(5002);
