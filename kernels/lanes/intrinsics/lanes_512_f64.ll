; Written by kernels/lanes/generate.py: 8 lanes of double. Do not edit.
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-f80:128-n8:16:32:64-S128"
target triple = "x86_64-pc-linux-gnu"

declare <8 x double> @llvm.fma.v8f64(<8 x double>, <8 x double>, <8 x double>)
declare <8 x double> @llvm.sqrt.v8f64(<8 x double>)
declare <8 x double> @llvm.fabs.v8f64(<8 x double>)
declare <8 x double> @llvm.copysign.v8f64(<8 x double>, <8 x double>)
declare void @llvm.prefetch.p0i8(i8*, i32, i32, i32)
declare <8 x double> @llvm.masked.load.v8f64.p0v8f64(<8 x double>*, i32, <8 x i1>, <8 x double>)
declare void @llvm.masked.store.v8f64.p0v8f64(<8 x double>, <8 x double>*, i32, <8 x i1>)

define void @fma_s_v8f64(double* %a0, <8 x double>* %a1, <8 x double>* %a2) alwaysinline {
  %t1 = load double, double* %a0
  %t2 = insertelement <8 x double> undef, double %t1, i32 0
  %t3 = shufflevector <8 x double> %t2, <8 x double> undef, <8 x i32> zeroinitializer
  %t4 = load <8 x double>, <8 x double>* %a1
  %t5 = load <8 x double>, <8 x double>* %a2
  %t6 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t3, <8 x double> %t4, <8 x double> %t5)
  store <8 x double> %t6, <8 x double>* %a2
  ret void
}

define void @fma_v_v8f64(<8 x double>* %a0, <8 x double>* %a1, <8 x double>* %a2) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = load <8 x double>, <8 x double>* %a1
  %t3 = load <8 x double>, <8 x double>* %a2
  %t4 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t1, <8 x double> %t2, <8 x double> %t3)
  store <8 x double> %t4, <8 x double>* %a2
  ret void
}

define void @exp_sub_v8f64(<8 x double>* %a0, <8 x double>* %a1, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = load <8 x double>, <8 x double>* %a1
  %t3 = fsub <8 x double> %t1, %t2
  %t4 = fcmp olt <8 x double> %t3, <double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333>
  %t5 = select <8 x i1> %t4, <8 x double> <double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333, double 0xC086273333333333>, <8 x double> %t3
  %t6 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t5, <8 x double> <double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE>, <8 x double> <double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF>)
  %t7 = fsub <8 x double> %t6, <double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF, double 0x43380000000003FF>
  %t8 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t7, <8 x double> <double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000>, <8 x double> %t5)
  %t9 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t7, <8 x double> <double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76>, <8 x double> %t8)
  %t10 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D>, <8 x double> %t9, <8 x double> <double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09>)
  %t11 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t10, <8 x double> %t9, <8 x double> <double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898>)
  %t12 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t11, <8 x double> %t9, <8 x double> <double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4>)
  %t13 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t12, <8 x double> %t9, <8 x double> <double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C>)
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t13, <8 x double> %t9, <8 x double> <double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t14, <8 x double> %t9, <8 x double> <double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A>)
  %t16 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t15, <8 x double> %t9, <8 x double> <double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A>)
  %t17 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t16, <8 x double> %t9, <8 x double> <double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17>)
  %t18 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t17, <8 x double> %t9, <8 x double> <double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111>)
  %t19 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t18, <8 x double> %t9, <8 x double> <double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555>)
  %t20 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t19, <8 x double> %t9, <8 x double> <double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555>)
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> %t9, <8 x double> <double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000>)
  %t22 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t21, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t24 = bitcast <8 x double> %t6 to <8 x i64>
  %t25 = shl <8 x i64> %t24, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t26 = bitcast <8 x i64> %t25 to <8 x double>
  %t27 = fmul <8 x double> %t23, %t26
  store <8 x double> %t27, <8 x double>* %o
  ret void
}

define void @exp_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = fcmp olt <8 x double> %t1, <double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE>
  %t3 = fcmp ogt <8 x double> %t1, <double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF>
  %t4 = select <8 x i1> %t3, <8 x double> <double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF>, <8 x double> %t1
  %t5 = select <8 x i1> %t2, <8 x double> <double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE>, <8 x double> %t4
  %t6 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t5, <8 x double> <double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE>, <8 x double> <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>)
  %t7 = fsub <8 x double> %t6, <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>
  %t8 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t7, <8 x double> <double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000>, <8 x double> %t5)
  %t9 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t7, <8 x double> <double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76>, <8 x double> %t8)
  %t10 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D>, <8 x double> %t9, <8 x double> <double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09>)
  %t11 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t10, <8 x double> %t9, <8 x double> <double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898>)
  %t12 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t11, <8 x double> %t9, <8 x double> <double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4>)
  %t13 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t12, <8 x double> %t9, <8 x double> <double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C>)
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t13, <8 x double> %t9, <8 x double> <double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t14, <8 x double> %t9, <8 x double> <double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A>)
  %t16 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t15, <8 x double> %t9, <8 x double> <double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A>)
  %t17 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t16, <8 x double> %t9, <8 x double> <double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17>)
  %t18 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t17, <8 x double> %t9, <8 x double> <double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111>)
  %t19 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t18, <8 x double> %t9, <8 x double> <double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555>)
  %t20 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t19, <8 x double> %t9, <8 x double> <double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555>)
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> %t9, <8 x double> <double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000>)
  %t22 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t21, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t24 = bitcast <8 x double> %t6 to <8 x i64>
  %t25 = bitcast <8 x double> <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000> to <8 x i64>
  %t26 = sub <8 x i64> %t24, %t25
  %t27 = ashr <8 x i64> %t26, <i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1>
  %t28 = sub <8 x i64> %t26, %t27
  %t29 = bitcast <8 x double> %t23 to <8 x i64>
  %t30 = shl <8 x i64> %t27, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t31 = add <8 x i64> %t29, %t30
  %t32 = bitcast <8 x i64> %t31 to <8 x double>
  %t33 = bitcast <8 x double> %t32 to <8 x i64>
  %t34 = shl <8 x i64> %t28, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t35 = add <8 x i64> %t33, %t34
  %t36 = bitcast <8 x i64> %t35 to <8 x double>
  %t37 = select <8 x i1> %t3, <8 x double> <double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000>, <8 x double> %t36
  %t38 = select <8 x i1> %t2, <8 x double> <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>, <8 x double> %t37
  %t39 = fcmp uno <8 x double> %t1, %t1
  %t40 = select <8 x i1> %t39, <8 x double> %t1, <8 x double> %t38
  store <8 x double> %t40, <8 x double>* %o
  ret void
}

define void @exp2_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = fcmp olt <8 x double> %t1, <double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000>
  %t3 = fcmp ogt <8 x double> %t1, <double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000>
  %t4 = select <8 x i1> %t3, <8 x double> <double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000, double 0x4090000000000000>, <8 x double> %t1
  %t5 = select <8 x i1> %t2, <8 x double> <double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000, double 0xC08FF00000000000>, <8 x double> %t4
  %t6 = fadd <8 x double> %t5, <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>
  %t7 = fsub <8 x double> %t6, <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>
  %t8 = fsub <8 x double> %t5, %t7
  %t9 = fmul <8 x double> %t8, <double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF, double 0x3FE62E42FEFA39EF>
  %t10 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D>, <8 x double> %t9, <8 x double> <double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09>)
  %t11 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t10, <8 x double> %t9, <8 x double> <double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898>)
  %t12 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t11, <8 x double> %t9, <8 x double> <double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4>)
  %t13 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t12, <8 x double> %t9, <8 x double> <double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C>)
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t13, <8 x double> %t9, <8 x double> <double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t14, <8 x double> %t9, <8 x double> <double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A>)
  %t16 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t15, <8 x double> %t9, <8 x double> <double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A>)
  %t17 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t16, <8 x double> %t9, <8 x double> <double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17>)
  %t18 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t17, <8 x double> %t9, <8 x double> <double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111>)
  %t19 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t18, <8 x double> %t9, <8 x double> <double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555>)
  %t20 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t19, <8 x double> %t9, <8 x double> <double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555>)
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> %t9, <8 x double> <double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000>)
  %t22 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t21, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> %t9, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t24 = bitcast <8 x double> %t6 to <8 x i64>
  %t25 = bitcast <8 x double> <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000> to <8 x i64>
  %t26 = sub <8 x i64> %t24, %t25
  %t27 = ashr <8 x i64> %t26, <i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1>
  %t28 = sub <8 x i64> %t26, %t27
  %t29 = bitcast <8 x double> %t23 to <8 x i64>
  %t30 = shl <8 x i64> %t27, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t31 = add <8 x i64> %t29, %t30
  %t32 = bitcast <8 x i64> %t31 to <8 x double>
  %t33 = bitcast <8 x double> %t32 to <8 x i64>
  %t34 = shl <8 x i64> %t28, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t35 = add <8 x i64> %t33, %t34
  %t36 = bitcast <8 x i64> %t35 to <8 x double>
  %t37 = select <8 x i1> %t3, <8 x double> <double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000>, <8 x double> %t36
  %t38 = select <8 x i1> %t2, <8 x double> <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>, <8 x double> %t37
  %t39 = fcmp uno <8 x double> %t1, %t1
  %t40 = select <8 x i1> %t39, <8 x double> %t1, <8 x double> %t38
  store <8 x double> %t40, <8 x double>* %o
  ret void
}

define void @log_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = bitcast <8 x double> %t1 to <8 x i64>
  %t3 = bitcast <8 x double> <double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD> to <8 x i64>
  %t4 = sub <8 x i64> %t2, %t3
  %t5 = ashr <8 x i64> %t4, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t6 = shl <8 x i64> %t5, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t7 = sub <8 x i64> %t2, %t6
  %t8 = bitcast <8 x i64> %t7 to <8 x double>
  %t9 = sitofp <8 x i64> %t5 to <8 x double>
  %t10 = fsub <8 x double> %t8, <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>
  %t11 = fadd <8 x double> %t8, <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>
  %t12 = fdiv <8 x double> %t10, %t11
  %t13 = fmul <8 x double> %t12, %t12
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B>, <8 x double> %t13, <8 x double> <double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t14, <8 x double> %t13, <8 x double> <double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618>)
  %t16 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t15, <8 x double> %t13, <8 x double> <double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28>)
  %t17 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t16, <8 x double> %t13, <8 x double> <double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E>)
  %t18 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t17, <8 x double> %t13, <8 x double> <double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111>)
  %t19 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t18, <8 x double> %t13, <8 x double> <double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14>)
  %t20 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t19, <8 x double> %t13, <8 x double> <double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746>)
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> %t13, <8 x double> <double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C>)
  %t22 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t21, <8 x double> %t13, <8 x double> <double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492>)
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> %t13, <8 x double> <double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A>)
  %t24 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t23, <8 x double> %t13, <8 x double> <double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555>)
  %t25 = fmul <8 x double> %t13, %t12
  %t26 = fadd <8 x double> %t12, %t12
  %t27 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t25, <8 x double> %t24, <8 x double> %t26)
  %t28 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t9, <8 x double> <double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76>, <8 x double> %t27)
  %t29 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t9, <8 x double> <double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000>, <8 x double> %t28)
  %t30 = fcmp oeq <8 x double> %t1, <double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000>
  %t31 = select <8 x i1> %t30, <8 x double> %t1, <8 x double> %t29
  %t32 = fcmp olt <8 x double> %t1, <double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000>
  %t33 = select <8 x i1> %t32, <8 x double> <double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000>, <8 x double> %t31
  %t34 = fcmp ult <8 x double> %t1, <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>
  %t35 = select <8 x i1> %t34, <8 x double> <double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000>, <8 x double> %t33
  store <8 x double> %t35, <8 x double>* %o
  ret void
}

define void @log2_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = bitcast <8 x double> %t1 to <8 x i64>
  %t3 = bitcast <8 x double> <double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD, double 0x3FE6A09E667F3BCD> to <8 x i64>
  %t4 = sub <8 x i64> %t2, %t3
  %t5 = ashr <8 x i64> %t4, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t6 = shl <8 x i64> %t5, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t7 = sub <8 x i64> %t2, %t6
  %t8 = bitcast <8 x i64> %t7 to <8 x double>
  %t9 = sitofp <8 x i64> %t5 to <8 x double>
  %t10 = fsub <8 x double> %t8, <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>
  %t11 = fadd <8 x double> %t8, <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>
  %t12 = fdiv <8 x double> %t10, %t11
  %t13 = fmul <8 x double> %t12, %t12
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B, double 0x3FB47AE147AE147B>, <8 x double> %t13, <8 x double> <double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164, double 0x3FB642C8590B2164>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t14, <8 x double> %t13, <8 x double> <double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618, double 0x3FB8618618618618>)
  %t16 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t15, <8 x double> %t13, <8 x double> <double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28, double 0x3FBAF286BCA1AF28>)
  %t17 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t16, <8 x double> %t13, <8 x double> <double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E, double 0x3FBE1E1E1E1E1E1E>)
  %t18 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t17, <8 x double> %t13, <8 x double> <double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111>)
  %t19 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t18, <8 x double> %t13, <8 x double> <double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14, double 0x3FC3B13B13B13B14>)
  %t20 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t19, <8 x double> %t13, <8 x double> <double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746, double 0x3FC745D1745D1746>)
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> %t13, <8 x double> <double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C, double 0x3FCC71C71C71C71C>)
  %t22 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t21, <8 x double> %t13, <8 x double> <double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492, double 0x3FD2492492492492>)
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> %t13, <8 x double> <double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A, double 0x3FD999999999999A>)
  %t24 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t23, <8 x double> %t13, <8 x double> <double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555, double 0x3FE5555555555555>)
  %t25 = fmul <8 x double> %t13, %t12
  %t26 = fadd <8 x double> %t12, %t12
  %t27 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t25, <8 x double> %t24, <8 x double> %t26)
  %t28 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t9, <8 x double> <double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76, double 0x3DEA39EF35793C76>, <8 x double> %t27)
  %t29 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t9, <8 x double> <double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000, double 0x3FE62E42FEE00000>, <8 x double> %t28)
  %t30 = fcmp oeq <8 x double> %t1, <double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000>
  %t31 = select <8 x i1> %t30, <8 x double> %t1, <8 x double> %t29
  %t32 = fcmp olt <8 x double> %t1, <double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000, double 0x0010000000000000>
  %t33 = select <8 x i1> %t32, <8 x double> <double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000>, <8 x double> %t31
  %t34 = fcmp ult <8 x double> %t1, <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>
  %t35 = select <8 x i1> %t34, <8 x double> <double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000, double 0x7FF8000000000000>, <8 x double> %t33
  %t36 = fmul <8 x double> %t35, <double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE>
  store <8 x double> %t36, <8 x double>* %o
  ret void
}

define void @sqrt_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = call <8 x double> @llvm.sqrt.v8f64(<8 x double> %t1)
  store <8 x double> %t2, <8 x double>* %o
  ret void
}

define void @tanh_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = call <8 x double> @llvm.fabs.v8f64(<8 x double> %t1)
  %t3 = fmul <8 x double> %t1, %t1
  %t4 = fmul <8 x double> %t3, %t1
  %t5 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259, double 0xBF0497D8EEA25259>, <8 x double> %t3, <8 x double> <double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD, double 0x3F1967E18AFCAFAD>)
  %t6 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t5, <8 x double> %t3, <8 x double> <double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664, double 0xBF2F57D7734D1664>)
  %t7 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t6, <8 x double> %t3, <8 x double> <double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744, double 0x3F43558248036744>)
  %t8 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t7, <8 x double> %t3, <8 x double> <double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3, double 0xBF57DA36452B75E3>)
  %t9 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t8, <8 x double> %t3, <8 x double> <double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0, double 0x3F6D6D3D0E157DE0>)
  %t10 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t9, <8 x double> %t3, <8 x double> <double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D, double 0xBF8226E355E6C23D>)
  %t11 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t10, <8 x double> %t3, <8 x double> <double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA, double 0x3F9664F4882C10FA>)
  %t12 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t11, <8 x double> %t3, <8 x double> <double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C, double 0xBFABA1BA1BA1BA1C>)
  %t13 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t12, <8 x double> %t3, <8 x double> <double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111, double 0x3FC1111111111111>)
  %t14 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t13, <8 x double> %t3, <8 x double> <double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555, double 0xBFD5555555555555>)
  %t15 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t4, <8 x double> %t14, <8 x double> %t1)
  %t16 = fadd <8 x double> %t2, %t2
  %t17 = fcmp olt <8 x double> %t16, <double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE>
  %t18 = fcmp ogt <8 x double> %t16, <double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF>
  %t19 = select <8 x i1> %t18, <8 x double> <double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF, double 0x40862E42FEFA39EF>, <8 x double> %t16
  %t20 = select <8 x i1> %t17, <8 x double> <double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE, double 0xC086232BDD7ABCAE>, <8 x double> %t19
  %t21 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t20, <8 x double> <double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE, double 0x3FF71547652B82FE>, <8 x double> <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>)
  %t22 = fsub <8 x double> %t21, <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000>
  %t23 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> <double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000, double 0xBFE62E42FEE00000>, <8 x double> %t20)
  %t24 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t22, <8 x double> <double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76, double 0xBDEA39EF35793C76>, <8 x double> %t23)
  %t25 = call <8 x double> @llvm.fma.v8f64(<8 x double> <double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D, double 0x3DA93974A8C07C9D>, <8 x double> %t24, <8 x double> <double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09, double 0x3DE6124613A86D09>)
  %t26 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t25, <8 x double> %t24, <8 x double> <double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898, double 0x3E21EED8EFF8D898>)
  %t27 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t26, <8 x double> %t24, <8 x double> <double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4, double 0x3E5AE64567F544E4>)
  %t28 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t27, <8 x double> %t24, <8 x double> <double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C, double 0x3E927E4FB7789F5C>)
  %t29 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t28, <8 x double> %t24, <8 x double> <double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734, double 0x3EC71DE3A556C734>)
  %t30 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t29, <8 x double> %t24, <8 x double> <double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A, double 0x3EFA01A01A01A01A>)
  %t31 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t30, <8 x double> %t24, <8 x double> <double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A, double 0x3F2A01A01A01A01A>)
  %t32 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t31, <8 x double> %t24, <8 x double> <double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17, double 0x3F56C16C16C16C17>)
  %t33 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t32, <8 x double> %t24, <8 x double> <double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111, double 0x3F81111111111111>)
  %t34 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t33, <8 x double> %t24, <8 x double> <double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555, double 0x3FA5555555555555>)
  %t35 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t34, <8 x double> %t24, <8 x double> <double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555, double 0x3FC5555555555555>)
  %t36 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t35, <8 x double> %t24, <8 x double> <double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000, double 0x3FE0000000000000>)
  %t37 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t36, <8 x double> %t24, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t38 = call <8 x double> @llvm.fma.v8f64(<8 x double> %t37, <8 x double> %t24, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>)
  %t39 = bitcast <8 x double> %t21 to <8 x i64>
  %t40 = bitcast <8 x double> <double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000, double 0x4338000000000000> to <8 x i64>
  %t41 = sub <8 x i64> %t39, %t40
  %t42 = ashr <8 x i64> %t41, <i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1, i64 1>
  %t43 = sub <8 x i64> %t41, %t42
  %t44 = bitcast <8 x double> %t38 to <8 x i64>
  %t45 = shl <8 x i64> %t42, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t46 = add <8 x i64> %t44, %t45
  %t47 = bitcast <8 x i64> %t46 to <8 x double>
  %t48 = bitcast <8 x double> %t47 to <8 x i64>
  %t49 = shl <8 x i64> %t43, <i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52, i64 52>
  %t50 = add <8 x i64> %t48, %t49
  %t51 = bitcast <8 x i64> %t50 to <8 x double>
  %t52 = select <8 x i1> %t18, <8 x double> <double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000, double 0x7FF0000000000000>, <8 x double> %t51
  %t53 = select <8 x i1> %t17, <8 x double> <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>, <8 x double> %t52
  %t54 = fcmp uno <8 x double> %t16, %t16
  %t55 = select <8 x i1> %t54, <8 x double> %t16, <8 x double> %t53
  %t56 = fadd <8 x double> %t55, <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>
  %t57 = fdiv <8 x double> <double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000, double 0x4000000000000000>, %t56
  %t58 = fsub <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>, %t57
  %t59 = call <8 x double> @llvm.copysign.v8f64(<8 x double> %t58, <8 x double> %t1)
  %t60 = fcmp olt <8 x double> %t2, <double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333, double 0x3FD3333333333333>
  %t61 = select <8 x i1> %t60, <8 x double> %t15, <8 x double> %t59
  store <8 x double> %t61, <8 x double>* %o
  ret void
}

define void @max_v8f64(<8 x double>* %a0, <8 x double>* %a1, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = load <8 x double>, <8 x double>* %a1
  %t3 = fcmp ogt <8 x double> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x double> %t1, <8 x double> %t2
  store <8 x double> %t4, <8 x double>* %o
  ret void
}

define void @nonfinite_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = fsub <8 x double> %t1, %t1
  %t3 = fcmp une <8 x double> %t2, <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>
  %t4 = select <8 x i1> %t3, <8 x double> <double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000, double 0x3FF0000000000000>, <8 x double> <double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000, double 0x0000000000000000>
  store <8 x double> %t4, <8 x double>* %o
  ret void
}

define void @load_v8f64(i64* %a0, i64* %a1, double* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = load double, double* %t4
  store double %t5, double* %o
  ret void
}

define void @keep_v8f64(<8 x double>* %a0, i32* %a1, <8 x i32>* %a2, <8 x i32>* %a3, <8 x double>* %o) alwaysinline {
  %t1 = load i32, i32* %a1
  %t2 = insertelement <8 x i32> undef, i32 %t1, i32 0
  %t3 = shufflevector <8 x i32> %t2, <8 x i32> undef, <8 x i32> zeroinitializer
  %t4 = load <8 x i32>, <8 x i32>* %a2
  %t5 = icmp sge <8 x i32> %t3, %t4
  %t6 = load <8 x i32>, <8 x i32>* %a3
  %t7 = icmp slt <8 x i32> %t3, %t6
  %t8 = and <8 x i1> %t5, %t7
  %t9 = load <8 x double>, <8 x double>* %a0
  %t10 = select <8 x i1> %t8, <8 x double> %t9, <8 x double> <double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000, double 0xFFF0000000000000>
  store <8 x double> %t10, <8 x double>* %o
  ret void
}

define void @where_equal_v8f64(<8 x double>* %a0, double* %a1, <8 x double>* %a2, <8 x double>* %a3, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = load double, double* %a1
  %t3 = insertelement <8 x double> undef, double %t2, i32 0
  %t4 = shufflevector <8 x double> %t3, <8 x double> undef, <8 x i32> zeroinitializer
  %t5 = fcmp oeq <8 x double> %t1, %t4
  %t6 = load <8 x double>, <8 x double>* %a2
  %t7 = load <8 x double>, <8 x double>* %a3
  %t8 = select <8 x i1> %t5, <8 x double> %t6, <8 x double> %t7
  store <8 x double> %t8, <8 x double>* %o
  ret void
}

define void @read_f64_v8f64(i64* %a0, i64* %a1, <8 x double>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = bitcast double* %t4 to <8 x double>*
  %t6 = load <8 x double>, <8 x double>* %t5, align 8
  store <8 x double> %t6, <8 x double>* %o
  ret void
}

define void @read_part_f64_v8f64(i64* %a0, i64* %a1, i32* %a2, <8 x double>* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = bitcast double* %t4 to <8 x double>*
  %t6 = load i32, i32* %a2
  %t7 = insertelement <8 x i32> undef, i32 %t6, i32 0
  %t8 = shufflevector <8 x i32> %t7, <8 x i32> undef, <8 x i32> zeroinitializer
  %t9 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t8
  %t10 = call <8 x double> @llvm.masked.load.v8f64.p0v8f64(<8 x double>* %t5, i32 8, <8 x i1> %t9, <8 x double> zeroinitializer)
  store <8 x double> %t10, <8 x double>* %o
  ret void
}

define void @write_f64_v8f64(i64* %a0, i64* %a1, <8 x double>* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = bitcast double* %t4 to <8 x double>*
  %t6 = load <8 x double>, <8 x double>* %a2
  store <8 x double> %t6, <8 x double>* %t5, align 8
  ret void
}

define void @write_part_f64_v8f64(i64* %a0, i64* %a1, <8 x double>* %a2, i32* %a3) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = bitcast double* %t4 to <8 x double>*
  %t6 = load <8 x double>, <8 x double>* %a2
  %t7 = load i32, i32* %a3
  %t8 = insertelement <8 x i32> undef, i32 %t7, i32 0
  %t9 = shufflevector <8 x i32> %t8, <8 x i32> undef, <8 x i32> zeroinitializer
  %t10 = icmp slt <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, %t9
  call void @llvm.masked.store.v8f64.p0v8f64(<8 x double> %t6, <8 x double>* %t5, i32 8, <8 x i1> %t10)
  ret void
}

define void @read_i32_v8f64(i64* %a0, i64* %a1, i32* %o) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i32*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i32, i32* %t2, i64 %t3
  %t5 = load i32, i32* %t4, align 4
  store i32 %t5, i32* %o
  ret void
}

define void @store_v8f64(i64* %a0, i64* %a1, double* %a2) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to double*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr double, double* %t2, i64 %t3
  %t5 = load double, double* %a2
  store double %t5, double* %t4, align 8
  ret void
}

define void @prefetch_1_v8f64(i64* %a0, i64* %a1) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  call void @llvm.prefetch.p0i8(i8* %t4, i32 0, i32 3, i32 1)
  ret void
}

define void @prefetch_2_v8f64(i64* %a0, i64* %a1) alwaysinline {
  %t1 = load i64, i64* %a0
  %t2 = inttoptr i64 %t1 to i8*
  %t3 = load i64, i64* %a1
  %t4 = getelementptr i8, i8* %t2, i64 %t3
  call void @llvm.prefetch.p0i8(i8* %t4, i32 0, i32 2, i32 1)
  ret void
}

define void @total_by_lane_v8f64(<8 x double>* %a0, <8 x double>* %a1, <8 x double>* %a2, <8 x double>* %a3, <8 x double>* %a4, <8 x double>* %a5, <8 x double>* %a6, <8 x double>* %a7, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = load <8 x double>, <8 x double>* %a1
  %t3 = load <8 x double>, <8 x double>* %a2
  %t4 = load <8 x double>, <8 x double>* %a3
  %t5 = load <8 x double>, <8 x double>* %a4
  %t6 = load <8 x double>, <8 x double>* %a5
  %t7 = load <8 x double>, <8 x double>* %a6
  %t8 = load <8 x double>, <8 x double>* %a7
  %t9 = shufflevector <8 x double> %t1, <8 x double> %t5, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t10 = shufflevector <8 x double> %t1, <8 x double> %t5, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t11 = fadd <8 x double> %t9, %t10
  %t12 = shufflevector <8 x double> %t2, <8 x double> %t6, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t13 = shufflevector <8 x double> %t2, <8 x double> %t6, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t14 = fadd <8 x double> %t12, %t13
  %t15 = shufflevector <8 x double> %t3, <8 x double> %t7, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t16 = shufflevector <8 x double> %t3, <8 x double> %t7, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t17 = fadd <8 x double> %t15, %t16
  %t18 = shufflevector <8 x double> %t4, <8 x double> %t8, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 12, i32 13, i32 14, i32 15>
  %t19 = shufflevector <8 x double> %t4, <8 x double> %t8, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %t20 = fadd <8 x double> %t18, %t19
  %t21 = shufflevector <8 x double> %t11, <8 x double> %t17, <8 x i32> <i32 0, i32 1, i32 10, i32 11, i32 4, i32 5, i32 14, i32 15>
  %t22 = shufflevector <8 x double> %t11, <8 x double> %t17, <8 x i32> <i32 2, i32 3, i32 8, i32 9, i32 6, i32 7, i32 12, i32 13>
  %t23 = fadd <8 x double> %t21, %t22
  %t24 = shufflevector <8 x double> %t14, <8 x double> %t20, <8 x i32> <i32 0, i32 1, i32 10, i32 11, i32 4, i32 5, i32 14, i32 15>
  %t25 = shufflevector <8 x double> %t14, <8 x double> %t20, <8 x i32> <i32 2, i32 3, i32 8, i32 9, i32 6, i32 7, i32 12, i32 13>
  %t26 = fadd <8 x double> %t24, %t25
  %t27 = shufflevector <8 x double> %t23, <8 x double> %t26, <8 x i32> <i32 0, i32 9, i32 2, i32 11, i32 4, i32 13, i32 6, i32 15>
  %t28 = shufflevector <8 x double> %t23, <8 x double> %t26, <8 x i32> <i32 1, i32 8, i32 3, i32 10, i32 5, i32 12, i32 7, i32 14>
  %t29 = fadd <8 x double> %t27, %t28
  store <8 x double> %t29, <8 x double>* %o
  ret void
}

define void @max_across_1_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 1, i32 0, i32 3, i32 2, i32 5, i32 4, i32 7, i32 6>
  %t3 = fcmp ogt <8 x double> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x double> %t1, <8 x double> %t2
  store <8 x double> %t4, <8 x double>* %o
  ret void
}

define void @add_across_1_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 1, i32 0, i32 3, i32 2, i32 5, i32 4, i32 7, i32 6>
  %t3 = fadd <8 x double> %t1, %t2
  store <8 x double> %t3, <8 x double>* %o
  ret void
}

define void @max_across_2_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 2, i32 3, i32 0, i32 1, i32 6, i32 7, i32 4, i32 5>
  %t3 = fcmp ogt <8 x double> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x double> %t1, <8 x double> %t2
  store <8 x double> %t4, <8 x double>* %o
  ret void
}

define void @add_across_2_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 2, i32 3, i32 0, i32 1, i32 6, i32 7, i32 4, i32 5>
  %t3 = fadd <8 x double> %t1, %t2
  store <8 x double> %t3, <8 x double>* %o
  ret void
}

define void @max_across_4_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 0, i32 1, i32 2, i32 3>
  %t3 = fcmp ogt <8 x double> %t1, %t2
  %t4 = select <8 x i1> %t3, <8 x double> %t1, <8 x double> %t2
  store <8 x double> %t4, <8 x double>* %o
  ret void
}

define void @add_across_4_v8f64(<8 x double>* %a0, <8 x double>* %o) alwaysinline {
  %t1 = load <8 x double>, <8 x double>* %a0
  %t2 = shufflevector <8 x double> %t1, <8 x double> undef, <8 x i32> <i32 4, i32 5, i32 6, i32 7, i32 0, i32 1, i32 2, i32 3>
  %t3 = fadd <8 x double> %t1, %t2
  store <8 x double> %t3, <8 x double>* %o
  ret void
}
