/*
 * tool_cxx.cc - the end of the program where C++ has no memory, and nobody who
 * would do without.
 */

extern "C" {
#include "tool.h"
}

#include <cstdlib>
#include <exception>
#include <new>

static void
on_terminate()
{
    if (auto thrown = std::current_exception()) {
        try {
            std::rethrow_exception(thrown);

        } catch (const std::bad_alloc &) {
            tool_out_of_memory();

        } catch (...) {
            /* a fault of ours */
        }
    }

    std::abort();
}

void
tool_cxx_memory(void)
{
    std::set_terminate(on_terminate);
}
