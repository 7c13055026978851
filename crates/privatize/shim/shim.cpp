// What LLVM's C API lacks. Everything else is in src/llvm.rs.
#include "llvm-c/Core.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/CBindingWrapping.h"

using namespace llvm;

extern "C" {
// Whether the profile that the function was compiled with says that nothing has called it.
bool privatize_never_called(LLVMValueRef function) {
  auto count = unwrap<Function>(function)->getEntryCount();
  return count && count->getCount() == 0;
}


// LLVMLinkModules2 makes a new linker at each call, which walks the whole destination: quadratic.
Linker *privatize_linker_create(LLVMModuleRef destination) { return new Linker(*unwrap(destination)); }
void privatize_linker_dispose(Linker *linker) { delete linker; }
// Takes the source. True on failure; the diagnostic handler has the reason.
bool privatize_linker_link(Linker *linker, LLVMModuleRef source) {
  return linker->linkInModule(std::unique_ptr<Module>(unwrap(source)));
}

// Replaces uses, but leaves what names the value itself: aliases of it, and addresses of its blocks.
void privatize_replace_uses(LLVMValueRef from, LLVMValueRef to) {
  unwrap(from)->replaceUsesWithIf(unwrap(to), [](Use &use) {
    return !isa<BlockAddress>(use.getUser()) && !isa<GlobalAlias>(use.getUser());
  });
}

// Turns the constant expressions and aggregates that use these into instructions where code uses them.
void privatize_expand_constant_users(LLVMValueRef *constants, size_t count) {
  SmallVector<Constant *, 0> list;
  for (size_t i = 0; i < count; i++)
    list.push_back(unwrap<Constant>(constants[i]));
  convertUsersOfConstantsToInstructions(list);
}

// The object that a constant pointer expression points into, and how far.
LLVMValueRef privatize_constant_offset(LLVMModuleRef module, LLVMValueRef pointer, int64_t *offset) {
  const DataLayout &layout = unwrap(module)->getDataLayout();
  Value *value = unwrap(pointer);
  APInt sum(layout.getIndexTypeSizeInBits(value->getType()), 0);
  Value *base = value->stripAndAccumulateConstantOffsets(layout, sum, /*AllowNonInbounds=*/true);
  *offset = sum.getSExtValue();
  return wrap(base);
}

// LLVMDeleteGlobal takes variables only.
void privatize_delete_global(LLVMValueRef global) { unwrap<GlobalValue>(global)->eraseFromParent(); }

bool privatize_is_thread_local_address(LLVMValueRef value) {
  auto *call = dyn_cast<CallInst>(unwrap(value));
  return call && call->getIntrinsicID() == Intrinsic::threadlocal_address;
}

// Where the base pointer is to be loaded in a function, given the instructions before which it is needed:
// before the returned instruction. It is the nearest common dominator of the uses, raised out of all loops, so that
// paths without private variables pay nothing. Instructions that cannot be reached become null in the list;
// where none is left the answer is null.
LLVMValueRef privatize_base_position(LLVMValueRef function, LLVMValueRef *points, size_t count) {
  DominatorTree dominators(*unwrap<Function>(function));
  LoopInfo loops(dominators);
  BasicBlock *block = nullptr;
  for (size_t i = 0; i < count; i++) {
    BasicBlock *parent = unwrap<Instruction>(points[i])->getParent();
    if (!dominators.isReachableFromEntry(parent)) {
      points[i] = nullptr;
      continue;
    }
    block = block ? dominators.findNearestCommonDominator(block, parent) : parent;
  }
  if (!block)
    return nullptr;
  // The entry block is in no loop.
  while (loops.getLoopDepth(block) || isa<CatchSwitchInst>(block->getTerminator()))
    block = dominators.getNode(block)->getIDom()->getBlock();
  Instruction *first = nullptr;
  for (size_t i = 0; i < count; i++) {
    if (!points[i])
      continue;
    auto *point = unwrap<Instruction>(points[i]);
    if (point->getParent() == block && (!first || point->comesBefore(first)))
      first = point;
  }
  return wrap(first ? first : block->getTerminator());
}
}
