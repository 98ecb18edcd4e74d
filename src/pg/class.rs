//! OIDs of system catalogs, which never change (src/include/catalog/*.h); the bindings have only some.

use pgrx::pg_sys::{self, Oid};

pub const RELATION: Oid = pg_sys::RelationRelationId;
pub const TYPE: Oid = pg_sys::TypeRelationId;
pub const PROCEDURE: Oid = pg_sys::ProcedureRelationId;
pub const NAMESPACE: Oid = pg_sys::NamespaceRelationId;
pub const EXTENSION: Oid = pg_sys::ExtensionRelationId;
pub const DATABASE: Oid = pg_sys::DatabaseRelationId;
pub const ROLE: Oid = pg_sys::AuthIdRelationId;
pub const EVENT_TRIGGER: Oid = pg_sys::EventTriggerRelationId;
pub const OPERATOR: Oid = pg_sys::OperatorRelationId;
pub const OPERATOR_FAMILY: Oid = pg_sys::OperatorFamilyRelationId;
pub const FAMILY_OPERATOR: Oid = pg_sys::AccessMethodOperatorRelationId;
pub const FAMILY_FUNCTION: Oid = pg_sys::AccessMethodProcedureRelationId;

pub const ATTRIBUTE_DEFAULT: Oid = Oid::from_u32(2604);
pub const CAST: Oid = Oid::from_u32(2605);
pub const CONSTRAINT: Oid = Oid::from_u32(2606);
pub const CONVERSION: Oid = Oid::from_u32(2607);
pub const DEPEND: Oid = Oid::from_u32(2608);
pub const INDEX: Oid = Oid::from_u32(2610);
pub const INHERITANCE: Oid = Oid::from_u32(2611);
pub const LARGE_OBJECT: Oid = Oid::from_u32(2613);
pub const OPERATOR_CLASS: Oid = Oid::from_u32(2616);
pub const RULE: Oid = Oid::from_u32(2618);
pub const TRIGGER: Oid = Oid::from_u32(2620);
pub const DATABASE_ROLE_SETTING: Oid = Oid::from_u32(2964);
pub const POLICY: Oid = Oid::from_u32(3256);
pub const STATISTICS: Oid = Oid::from_u32(3381);
pub const TRANSFORM: Oid = Oid::from_u32(3576);
pub const PUBLISHED_SCHEMA: Oid = Oid::from_u32(6237);
