//! SQLSTATEs: those that Belay raises, and how the server packs one.

/// SQLSTATEs that Belay raises. The README's table lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A pending migration sorts before what is applied (`strict`).
    Late,
    /// An applied migration is not in the loaded set.
    Missing,
    /// A definition differs from the one that is registered or applied.
    Changed,
    /// A down is wanted and there is none, or the project forbids downs.
    Irreversible,
    /// A `requires` is not met.
    Requirement,
    /// A down would split an indivisible pair.
    Pair,
    /// A non-transactional migration has begun and not ended.
    Unfinished,
    /// A name is not a name, or not one of the project's naming.
    Name,
    /// A file or a set of files cannot be read as migrations.
    File,
    /// A statement that migrations may not hold.
    Statement,
    /// A migration, project or target that does not exist.
    Unknown,
    /// A run is active in this session already, or its members would be dropped.
    Nested,
    /// The project's lock was lost.
    LockLost,
    /// The library and the extension's SQL objects differ in version.
    Version,
    /// The catalog refuses what breaks the ledger's rules.
    Protected,
    /// A run that was waited for has failed.
    RunFailed,
    /// A migration does what its phase may not.
    Contract,
    /// A post would run while clients of older releases are there, or a client would run what a post
    /// has contracted away.
    Gate,
    /// What deployed code sends would no longer pass.
    ContractQuery,
    /// A job's state does not allow what is asked of it, or a check of it has failed.
    Job,
    /// A job stands in the way of a release.
    Upgrade,
    /// 0A000
    NotSupported,
    /// 22000
    Data,
    /// 22023
    InvalidParameter,
    /// 42501
    Privilege,
    /// 55P03
    LockNotAvailable,
    /// 27000
    Conflict,
    /// 42804
    DatatypeMismatch,
    /// 25001
    ActiveTransaction,
    /// 25006
    ReadOnly,
    /// 40001
    Serialization,
    /// 42701
    DuplicateColumn,
    /// 42703
    UndefinedColumn,
    /// 42P01
    UndefinedTable,
    /// 42P07
    DuplicateRelation,
    /// 42710
    Duplicate,
    /// 42809
    WrongObject,
    /// 55000
    NotInState,
    /// 58P01
    UndefinedFile,
    /// 08006
    ClientGone,
    /// XX000
    Internal,
}

impl Code {
    /// The five characters of the SQLSTATE.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Code::Late => "MG001",
            Code::Missing => "MG002",
            Code::Changed => "MG003",
            Code::Irreversible => "MG004",
            Code::Requirement => "MG005",
            Code::Pair => "MG006",
            Code::Unfinished => "MG007",
            Code::Name => "MG008",
            Code::File => "MG009",
            Code::Statement => "MG010",
            Code::Unknown => "MG011",
            Code::Nested => "MG012",
            Code::LockLost => "MG013",
            Code::Version => "MG014",
            Code::Protected => "MG015",
            Code::RunFailed => "MG016",
            Code::Contract => "MG017",
            Code::Gate => "MG018",
            Code::ContractQuery => "MG019",
            Code::Job => "MG020",
            Code::Upgrade => "MG021",
            Code::NotSupported => "0A000",
            Code::Data => "22000",
            Code::InvalidParameter => "22023",
            Code::Privilege => "42501",
            Code::LockNotAvailable => "55P03",
            Code::Conflict => "27000",
            Code::DatatypeMismatch => "42804",
            Code::ActiveTransaction => "25001",
            Code::ReadOnly => "25006",
            Code::Serialization => "40001",
            Code::DuplicateColumn => "42701",
            Code::UndefinedColumn => "42703",
            Code::UndefinedTable => "42P01",
            Code::DuplicateRelation => "42P07",
            Code::Duplicate => "42710",
            Code::WrongObject => "42809",
            Code::NotInState => "55000",
            Code::UndefinedFile => "58P01",
            Code::ClientGone => "08006",
            Code::Internal => "XX000",
        }
    }
}

/// A SQLSTATE in six bits a character, as elog.h's MAKE_SQLSTATE has it.
pub(super) fn pack(state: &str) -> i32 {
    state.bytes().take(5).enumerate().fold(0, |packed, (i, c)| {
        packed | ((i32::from(c) - i32::from(b'0')) & 0x3f) << (6 * i)
    })
}

/// The five characters of a packed SQLSTATE.
pub(super) fn unpack(mut packed: i32) -> String {
    let mut state = String::with_capacity(5);
    for _ in 0..5 {
        state.push(char::from(((packed & 0x3f) as u8).wrapping_add(b'0')));
        packed >>= 6;
    }
    state
}
