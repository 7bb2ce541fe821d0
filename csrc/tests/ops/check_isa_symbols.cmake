# Fails when an object compiled for one ISA defines a symbol that the linker could use elsewhere: every external symbol
# must lie in the namespace ev::ops::<isa>. A weak template or inline function compiled with AVX-512 could otherwise be
# chosen to serve the whole program, and crash it on a smaller CPU.
#
#   cmake -DNM=<nm> -DISA=<name> -DOBJECTS=<a.o|b.o|...> -P check_isa_symbols.cmake
string(REPLACE "|" ";" objects "${OBJECTS}")
string(LENGTH "${ISA}" length)
foreach(object ${objects})
  execute_process(COMMAND ${NM} --defined-only --extern-only ${object} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${NM} cannot read ${object}")
  endif()
  string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
  foreach(line ${lines})
    if(NOT line MATCHES " _ZN2ev3ops${length}${ISA}")
      message(FATAL_ERROR "${object} leaks a symbol: ${line}")
    endif()
  endforeach()
endforeach()
