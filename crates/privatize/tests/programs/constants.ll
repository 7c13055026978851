; Constants of every shape where code uses them: C compilers make most of these only now and then.
target triple = "x86_64-pc-linux-gnu"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"

%pair = type { ptr, ptr }
@a = global i32 1
@b = internal global i32 2
@list = global [4 x i32] [i32 10, i32 20, i32 30, i32 40]
@vector = global <2 x ptr> <ptr @a, ptr getelementptr (i8, ptr @list, i64 8)>
@pairs = internal constant [2 x %pair] [%pair { ptr @a, ptr null }, %pair { ptr getelementptr (i8, ptr @list, i64 4), ptr @pairs }]
@distance = global i64 sub (i64 ptrtoint (ptr getelementptr (i8, ptr @list, i64 12) to i64), i64 ptrtoint (ptr @list to i64))
@small_distance = global i32 trunc (i64 sub (i64 ptrtoint (ptr getelementptr (i8, ptr @list, i64 12) to i64), i64 ptrtoint (ptr @list to i64)) to i32)
@wrapped = global <{ i8, ptr, i64 }> <{ i8 7, ptr inttoptr (i64 add (i64 ptrtoint (ptr @list to i64), i64 8) to ptr), i64 ptrtoint (ptr @a to i64) }>
@third = alias i32, getelementptr (i8, ptr @list, i64 8)
@undefined = global [3 x i32] undef
@format = private constant [22 x i8] c"%d %d %d %d %d %d %d\0A\00"
@stdout = external global ptr

declare i32 @fprintf(ptr, ptr, ...)
declare i32 @atoi(ptr)
declare void @libos_step()

define internal %pair @aggregate() noinline {
  ret %pair { ptr @a, ptr getelementptr (i8, ptr @list, i64 12) }
}

define internal i32 @through_vector(i32 %which) noinline {
  %local = alloca <2 x ptr>
  store <2 x ptr> <ptr @b, ptr getelementptr (i8, ptr @list, i64 4)>, ptr %local
  %slot = getelementptr ptr, ptr %local, i32 %which
  %p = load ptr, ptr %slot
  %v = load i32, ptr %p
  ret i32 %v
}

; Two edges from one block carry the same value, and a third another.
define internal i32 @edges(i32 %which) noinline {
entry:
  switch i32 %which, label %other [
    i32 0, label %join
    i32 1, label %join
    i32 2, label %unreachable
  ]
other:
  br label %join
join:
  %p = phi ptr [ getelementptr (i8, ptr @list, i64 4), %entry ], [ getelementptr (i8, ptr @list, i64 4), %entry ], [ @b, %other ]
  %v = load i32, ptr %p
  ret i32 %v
unreachable:
  ret i32 -1
dead:
  store i32 3, ptr @a
  br label %dead
}

define internal i32 @selected(i1 %c) noinline {
  %p = select i1 %c, ptr @a, ptr getelementptr (i8, ptr @list, i64 8)
  %q = inttoptr i64 add (i64 ptrtoint (ptr @list to i64), i64 4) to ptr
  %x = load i32, ptr %p
  %y = load i32, ptr %q
  %z = add i32 %x, %y
  ret i32 %z
}

define i32 @main(i32 %argc, ptr %argv) {
  %at = getelementptr ptr, ptr %argv, i64 1
  %text = load ptr, ptr %at
  %seed = call i32 @atoi(ptr %text)
  store i32 %seed, ptr @undefined
  %old = load i32, ptr @third
  %new = mul i32 %old, %seed
  store i32 %new, ptr @third
  %older = load i32, ptr @b
  %newer = add i32 %older, %seed
  store i32 %newer, ptr @b
  call void @libos_step()
  %out = load ptr, ptr @stdout
  %pair = call %pair @aggregate()
  %second = extractvalue %pair %pair, 1
  %1 = load i32, ptr %second
  %2 = call i32 @through_vector(i32 0)
  %3 = call i32 @through_vector(i32 1)
  %4 = call i32 @edges(i32 %seed)
  %5 = call i32 @edges(i32 7)
  %6 = call i32 @selected(i1 false)
  %7 = load i32, ptr @third
  %printed = call i32 (ptr, ptr, ...) @fprintf(ptr %out, ptr @format, i32 %1, i32 %2, i32 %3, i32 %4, i32 %5, i32 %6, i32 %7)
  %vector = load <2 x ptr>, ptr @vector
  %element = extractelement <2 x ptr> %vector, i32 1
  %8 = load i32, ptr %element
  %deep = load ptr, ptr getelementptr (i8, ptr @pairs, i64 24)
  %deeper = load ptr, ptr %deep
  %9 = load i32, ptr %deeper
  %10 = load i64, ptr @distance
  %11 = trunc i64 %10 to i32
  %12 = load i32, ptr @small_distance
  %inner = load ptr, ptr getelementptr (i8, ptr @wrapped, i64 1), align 1
  %13 = load i32, ptr %inner
  %integer = load i64, ptr getelementptr (i8, ptr @wrapped, i64 9), align 1
  %pointer = inttoptr i64 %integer to ptr
  %14 = load i32, ptr %pointer
  %15 = load i32, ptr @undefined
  %printed_again = call i32 (ptr, ptr, ...) @fprintf(ptr %out, ptr @format, i32 %8, i32 %9, i32 %11, i32 %12, i32 %13, i32 %14, i32 %15)
  ret i32 0
}
