//! A shared object's file, read and checked once, to be mapped any number of times.
//!
//! Relies on: nobody writes to the file meanwhile. That is noticed between opening and mapping, not
//! while a mapping is there; package managers replace files instead, which does no harm.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use crate::bind;
use crate::dynamic::{Dynamic, Table};
use crate::eh_frame::Frames;
use crate::error::{Error, ErrorKind, Result, Undefined};
use crate::layout::{Image, Layout};
use crate::loaded::Registration;
use crate::mapping::Mapping;
use crate::memory::Memory;
use crate::relocation::Relocations;
use crate::resolver::Resolver;
use crate::symbols::{self, Symbols};
use crate::thread_local::Block;
use crate::unwind::FrameRegistration;

/// A shared object's file. Cheap to clone; what the file says is shared.
#[derive(Debug, Clone)]
pub struct SharedObject {
    parsed: Arc<Parsed>,
}

/// Functions that run at the beginning or the end; addresses are the file's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) single: Option<u64>,
    pub(crate) array: Table,
}

/// All that mapping needs to know of the file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) name: String,
    file: File,
    /// Size and time of last modification when it was read.
    state: (u64, i64, i64),
    pub(crate) layout: Layout,
    pub(crate) symbols: Symbols,
    pub(crate) relocations: Relocations,
    pub(crate) frames: Option<Frames>,
    pub(crate) symbolic: bool,
    pub(crate) initialisers: Functions,
    pub(crate) finalisers: Functions,
    needed: Vec<String>,
    soname: Option<String>,
}

impl SharedObject {
    /// Reads and checks the shared object in `file`, of which it keeps a duplicate descriptor to map from.
    ///
    /// `name` is what messages, and unwinders that list objects, call it; usually its path.
    ///
    /// # Errors
    /// The file is no shared object for this machine, is damaged, or uses what this loader refuses; see [`ErrorKind`].
    pub fn open(file: impl AsFd, name: impl Into<String>) -> std::result::Result<Self, Error> {
        let name = name.into();
        match Parsed::read(file, &name) {
            Ok(parsed) => Ok(Self { parsed: Arc::new(parsed) }),
            Err(kind) => Err(kind.of(&name)),
        }
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.parsed.name
    }

    /// The file names of the libraries that it needs, in search order.
    pub fn needed(&self) -> &[String] {
        &self.parsed.needed
    }

    /// The file name by which other objects need it.
    pub fn soname(&self) -> Option<&str> {
        self.parsed.soname.as_deref()
    }

    /// The names that it expects others to define, including those that the loader itself provides.
    pub fn undefined(&self) -> impl Iterator<Item = Undefined> {
        self.parsed.symbols.undefined()
    }

    /// The names that [`Mapping::symbol`] finds, sorted.
    pub fn exported(&self) -> impl Iterator<Item = &str> {
        self.parsed.symbols.exported()
    }

    /// Maps the object with data of its own, and binds its symbols. None of its code runs before
    /// [`Mapping::run_initialisers`].
    ///
    /// What `resolver` found must stay valid until the mapping is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Unresolved`] names all strong symbols that are nowhere. Otherwise the system has no memory left, or the
    /// file was changed after it was opened.
    pub fn map(&self, resolver: &dyn Resolver) -> std::result::Result<Mapping, Error> {
        self.try_map(resolver).map_err(|kind| kind.of(&self.parsed.name))
    }

    fn try_map(&self, resolver: &dyn Resolver) -> Result<Mapping> {
        let object = &self.parsed;
        if state(&object.file)? != object.state {
            return Err(ErrorKind::Changed);
        }
        let memory = Memory::map(&object.layout, &object.file)?;
        let template = object.layout.thread_local.as_ref();
        let block = template.map(Block::new).transpose()?;
        // SAFETY: a new mapping and block of this object.
        let deferred = unsafe { bind::bind(object, resolver, &memory, block.as_ref())? };
        if let (Some(template), Some(block)) = (template, &block) {
            // SAFETY: as above.
            unsafe { block.fill(template, &memory) };
        }
        if let Some(relro) = &object.layout.relro {
            memory.set_writable(relro, false)?;
        }
        let frame_header = object.layout.frame_header;
        let registration = Registration::new(
            memory.addresses(),
            memory.bias(),
            &object.name,
            object.layout.headers.clone(),
            frame_header.map(|address| memory.at(address).addr()),
        );
        let frames = object.frames.as_ref();
        let frames = frames.map(|frames| FrameRegistration::new(frames, &memory, resolver));
        Ok(Mapping::new(Arc::clone(object), memory, block, registration, frames, deferred))
    }
}

impl Parsed {
    fn read(file: impl AsFd, name: &str) -> Result<Self> {
        let system = |what| move |error| ErrorKind::System { what, error };
        let file = file.as_fd().try_clone_to_owned().map_err(system("duplicate the descriptor"))?;
        let file = File::from(file);
        let state = state(&file)?;
        let layout = Layout::read(&file, state.0)?;
        let image = Image::read(&file, &layout)?;
        let dynamic = Dynamic::parse(&image)?;
        let relocations = Relocations::parse(&image, &dynamic)?;
        let symbols = Symbols::parse(&image, &dynamic, relocations.symbol_count())?;
        relocations.check(&layout, &symbols)?;
        let frames = Frames::parse(&image)?;
        let strings = symbols::strings(&image, &dynamic)?;
        let string = |offset: &u64| symbols::string(&strings, *offset).map(str::to_owned);
        Ok(Self {
            name: name.to_owned(),
            needed: dynamic.needed.iter().map(string).collect::<Result<_>>()?,
            soname: dynamic.soname.as_ref().map(string).transpose()?,
            state,
            symbols,
            relocations,
            frames,
            symbolic: dynamic.symbolic,
            initialisers: Functions { single: dynamic.init, array: dynamic.init_array },
            finalisers: Functions { single: dynamic.fini, array: dynamic.fini_array },
            layout,
            file,
        })
    }
}

fn state(file: &File) -> Result<(u64, i64, i64)> {
    let metadata = file.metadata().map_err(|error| ErrorKind::System { what: "read the file's size", error })?;
    Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
