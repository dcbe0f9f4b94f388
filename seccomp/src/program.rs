//! A filter that the kernel would take.

use crate::instruction::Instruction;
use crate::verify::{Invalid, verify};

/// A classic BPF program that has passed [`verify`].
///
/// It is shown (`Display`) as its disassembly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Checks instructions as the kernel does.
    ///
    /// # Errors
    /// [`Invalid`], with the place.
    pub fn new(instructions: Vec<Instruction>) -> Result<Self, Invalid> {
        verify(&instructions)?;
        Ok(Self(instructions))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) or libseccomp's `seccomp_export_bpf` wrote.
    ///
    /// # Errors
    /// [`Invalid`]; [`Invalid::PartOfInstruction`] for a number of bytes that does not divide.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let (whole, rest) = bytes.as_chunks::<{ Instruction::SIZE }>();
        if !rest.is_empty() {
            return Err(Invalid::PartOfInstruction);
        }
        Self::new(whole.iter().map(|b| Instruction::from_bytes(*b)).collect())
    }

    /// As the kernel reads it: an array of `struct sock_filter`, in this machine's byte order.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|i| i.to_bytes()).collect()
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}
