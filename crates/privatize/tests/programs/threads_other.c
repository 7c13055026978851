_Thread_local int of_other_file = 20;
extern _Thread_local int shared_with_other_file;
int *other_file(void) {
    of_other_file++;
    return &shared_with_other_file;
}
