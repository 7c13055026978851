//! Random sequences of operations must give the same results and errors on each file system as the kernel gives.

mod kernel;
mod op;
mod virtual_system;

use op::{Op, System, ops};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use virtual_system::Variant;

/// Runs the operations on the kernel and on the variant, side by side.
fn same_as_kernel(variant: Variant, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut kernel = kernel::Kernel::new();
    let mut system = virtual_system::Virtual::new(variant);
    for (number, op) in ops.iter().enumerate() {
        let expected = kernel.apply(op);
        let got = system.apply(op);
        if kernel.cwd_moved() {
            break;
        }
        prop_assert_eq!(expected, got, "kernel on the left, {:?}, step {}: {:?}", variant, number, op);
    }
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200),
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    }
}

macro_rules! variants {
    ($($name:ident: $variant:expr;)*) => { $(
        #[test]
        fn $name() {
            proptest!(config(), |(ops in ops())| same_as_kernel($variant, &ops)?);
        }
    )* };
}

variants! {
    host: Variant::Host;
    host_walking: Variant::HostWalking;
    host_nested: Variant::HostNested;
    memory: Variant::Memory;
    memory_nested: Variant::MemoryNested;
}
